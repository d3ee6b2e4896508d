"""Storms: when more incidents open at once than anybody can read, they are folded into one umbrella incident.

`table` reads what is folded. `fold` decides of each incident whether it is, and whose page it needs; a service whose
on-call nobody has called yet is never folded away. `look` ends a storm. `shown` makes its table, `words` says it.
"""
