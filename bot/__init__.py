"""The machine: hears, remembers and acts, and knows no subject.

Ears (`slack`, `web`, `clock`, `__main__`) hear, authenticate, answer in time, and make one call of a handler.
Memory (`engine`, `store`, `audit`, `config`, `errors`) knows nothing of Slack or of incidents.
`integrations` is the only place where an outside SDK is imported. `sandbox` shows the whole without an account.
"""
