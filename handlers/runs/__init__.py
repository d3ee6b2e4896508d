"""Runs of runbooks: asked for by people, incidents, deploys and the clock; looked at while they go on, and remembered."""
