"""What is said of things people do in Jira, in the thread and in the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.integrations.slack.words import clip, escape

SHOWN = 2500
"""Characters of a comment that are shown."""


@dataclass(frozen=True)
class Said:
    """The same sentence for the thread and, plain, for the timeline."""

    mrkdwn: str
    plain: str


def ticket_link(row: Any) -> str:
    """The ticket as a link, mrkdwn."""
    return f"<{escape(row.ticket_url)}|{escape(row.ticket_key)}>"


def _both(row: Any, template: str, **parts: str) -> Said:
    """``template`` with {key} for the ticket and what people wrote escaped where it is mrkdwn."""
    shown = {name: escape(text) for name, text in parts.items()}
    return Said(template.format(key=ticket_link(row), **shown), template.format(key=row.ticket_key, **parts))


def change_said(row: Any, item: Mapping[str, str], event: Mapping[str, Any]) -> Said:
    """A change of one field of the ticket."""
    who, old, new = event["name"], item["from_text"], item["to_text"]
    given = "{who} took {key}." if new == who else "{who} gave {key} to {new}."
    template = {
        "status": "{who} moved {key} from {old} to {new}.",
        "priority": "{who} set the priority of {key} to {new}, it was {old}.",
        "assignee": given if new else "{who} took {key} from {old}: nobody has it in Jira.",
        "summary": "{who} renamed {key} to “{new}”.",
        "key": "{who} moved {old} to another project: it is {key} now.",
    }[item["field"]]
    return _both(row, template, who=who, old=old or "none", new=new or "none")


def comment_said(row: Any, event: Mapping[str, Any]) -> Said:
    """A comment as it is now."""
    who, text = event["author"], clip(event["text"], SHOWN)
    if event["type"] == "comment_deleted":
        return _both(row, "A comment of {who} on {key} was deleted.", who=who)
    if event["only"]:
        return _both(row, "{who} on {key}, for {only} only: read it there.", who=who, only=event["only"])
    again = " (edited)" if event["type"] == "comment_updated" else ""
    return _both(row, "{who} on {key}{again}: {text}", who=who, text=text, again=again)


def gone_said(row: Any, event: Mapping[str, Any]) -> Said:
    """The ticket was deleted."""
    return _both(row, "{who} deleted {old} in Jira.", who=event["name"], old=row.ticket_key)
