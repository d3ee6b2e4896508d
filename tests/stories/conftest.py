"""Stories have a town to stand in."""

from ground.town import town

__all__ = ["town"]
