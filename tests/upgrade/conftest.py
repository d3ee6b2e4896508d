"""Upgrades have a town to happen in."""

from ground.town import town

__all__ = ["town"]
