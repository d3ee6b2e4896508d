"""Why: says from the stored decisions why somebody was paged, or nobody; it looks and changes nothing.

`what` reads the question. `find` looks it up. `words` tells the story. `commands` is the one verb.
"""
