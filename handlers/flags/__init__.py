"""Flags: what is switched on for a while, and is switched off again.

`rules` are pure: the states, and what an object says of a flag. `kinds` are the settings and the kinds of objects a flag
may stand in. `table` holds one row for each switching-on. `decide` turns deeds into rows and owed effects, in one
transaction each: the undo is owed before the apply, always. `effects` performs them, `care` looks again by the clock.
`commands` are the verbs, `words` what is shown.
"""
