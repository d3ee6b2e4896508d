"""On call: who would be woken now and who is next, as PagerDuty knows it; it looks and changes nothing.

`turns` tells now from next. `words` shows it. `commands` is the one verb.
"""
