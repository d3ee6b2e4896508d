"""Watchdogs: alerts that always fire, so that the day they no longer arrive somebody is paged by their silence."""
