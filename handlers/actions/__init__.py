"""Actions: what changes something has a name in captain.yml, a way back, a dry run, and a second person where one is wanted.

`rules` are pure: the states, the seal that an approval is bound to, who may approve. `kinds` are the settings. `plan` is
one request with its parameters filled in; it is kept with the request, which is undone as it was done. `place` is the
fields of an object that a plan changes. `table` holds one row for each request. `decide` turns deeds into rows and owed
effects, in one transaction each: the undo is owed before the deed, always. `ways` does and undoes, one way for each kind;
`effects` performs what is owed, `care` looks again by the clock. `commands` are the verbs, `words` what is shown.
"""
