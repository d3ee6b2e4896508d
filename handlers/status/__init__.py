"""Status: a signed page that anybody with the link can read, for when Slack is down; it looks and changes nothing.

`seal` signs and reads links. `page` draws. `commands` is the one verb.
"""
