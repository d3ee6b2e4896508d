"""Noise control: what keeps an alert from waking anybody for a while, and that it wakes them when the while is over.

`weigh` decides, purely. `kinds` is the configuration, `windows` its times, `table` what is stored. `hold` stands before
every incident that is opened, `again` decides anew when a reason has ended, `begin` starts and ends silences, `effects`
does what is owed outside, `commands` and `words` are for people.
"""
