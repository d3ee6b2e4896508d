"""Tickets in Jira, both ways: what an incident tells its ticket, and what people do there. Nothing here pages but by a command."""
