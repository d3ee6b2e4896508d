"""An incident's own Slack channel: whose incidents get one, how it is made once, who is asked in and what stands in it.

The thread in the service's channel stays, and is gone on with wherever the channel cannot be had.
"""
