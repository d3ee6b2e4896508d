"""The reactions: one subject a file or folder, with its table, its rules, its commands, its workflows and its words.

A handler decides. It imports no SDK, opens no connection and starts no thread: what must happen outside is owed to the
engine, which carries it out and never forgets.
"""
