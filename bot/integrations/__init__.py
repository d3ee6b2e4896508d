"""The outside: one folder a service, each with what can be asked, the client that asks it, and a stand-in.

`NAME/__init__.py` holds frozen dataclasses (what can be asked), a Protocol (who can be asked) and the settings;
`NAME/client.py` is the only file that imports the service's SDK; `NAME/fake.py` speaks the real wire protocol.
Integrations never import each other. `connect.py` builds the clients of the configured services.
"""
