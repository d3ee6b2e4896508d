"""The schema's history: one revision a change, applied in order when the bot starts. Forward only."""
