"""Deploys: told by CI or seen in the cluster, said in the service's channel, and followed by the service's checks.

`kinds` are the settings and the noun. `read` and `github` read what is told, `rollout` what the cluster shows: all pure, as
`rules` is, which says what several tellings of one deploy come to. `table` holds the rows. `decide` turns a telling into
rows and owed effects, `seen` what the cluster shows into tellings. `effects` performs what is owed, `after` has the checks
run and hears what they found. `commands` are the verbs, `words` what is shown.
"""
