"""The timeline: what people note and mark of an incident, beside what the bot writes down itself, to be read and taken away.

`rules` are pure: what a marked message says there. `hear` reads Slack's events. `marks` keeps the timeline as the messages
are: an event only says which message to look at, and what is seen there counts, so that their order does not matter.
`declared` opens an incident from an emoji. `written` adds
what the outside has taken. `sweep` looks again by the clock. `commands` are the verbs, `words` what is shown and exported.
"""
