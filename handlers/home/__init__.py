"""The App Home: what is mine, what is open, who is on call, what is on and what is owed; it opens at once.

`facts` reads what is known here and asks nobody. `turns` has PagerDuty asked who is on call, beside it, and remembers
the answer. `view` draws both, within what Slack takes.
"""
