"""The digest: a channel with one line for each open incident, kept true while it lasts and struck out at its end.

`follow` says which incidents have a line and owes it. `line` is what it says. `effects` posts and edits it, after all
else that Slack is asked for. `sweep` owes it to those that opened before there was a digest.
"""
