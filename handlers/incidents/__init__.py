"""Incidents: from the alert or the person that opens one to its end.

`rules` are pure. `table` holds the rows. `decide` turns alerts and deeds into rows and owed effects, in one
transaction. `effects` performs them through the integrations. `commands` are the verbs, `words` what is shown.
"""
