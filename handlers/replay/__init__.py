"""What a policy would have made of alerts that have been: the alerts as they came, and what is said of two policies.

Nothing here decides; that is done by the code that decides about alerts when they come.
"""
