"""Reads Jira's webhooks, of Cloud and of Data Center: who may send one, and what of it is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.grammar import plain as storable
from bot.integrations.jira.text import plain
from bot.integrations.slack.words import clip
from handlers.alerts.payload import BadPayload

CHANGED, DELETED = "jira:issue_updated", "jira:issue_deleted"
COMMENTS = ("comment_created", "comment_updated", "comment_deleted")
FIELDS = ("status", "priority", "assignee", "summary", "key")
"""The changes that are heard, by Jira's name of the field in small letters."""
ABOUT = re.compile(r"/issue/(\d+)/comment/")
LONGEST = 33_000
"""Characters of a comment that are kept; Jira takes no more than 32,767."""
LONGEST_ID = 200
"""Characters of what an event is known by; an index row takes no more than some thousand bytes."""


def allowed(body: bytes, signature: str | None, given: str, secret: str) -> bool:
    """True for a sender who knows the secret: the body is signed with it, or, where nothing is signed, it is shown.

    ``signature``: of X-Hub-Signature, None without the header; a wrong one is refused whatever else is shown. ``given``:
    from the address or from a bearer token, for Data Center, which signs nothing. Both are compared in constant time.
    """
    if signature is not None:
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.strip().lower().encode("utf-8", "replace"))
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))


def read(body: bytes) -> dict[str, Any] | None:
    """What is kept of a webhook; None when it is of no kind that is heard. Raises BadPayload when it is none.

    ``id`` is made of what happened, not of the delivery: sent again under another name it is still the same.
    """
    try:
        told = json.loads(body)
        kind = str(told["webhookEvent"])
        if kind not in (CHANGED, DELETED, *COMMENTS):
            return None
        comment = told.get("comment") or {} if kind in COMMENTS else {}
        issue = told.get("issue") or {}
        about = ABOUT.search(str(comment.get("self") or ""))
        ident = str(issue.get("id") or (about.group(1) if about else ""))
        if not ident:
            raise KeyError("issue")
        person = told.get("user") or comment.get("updateAuthor") or comment.get("author") or {}
        author = comment.get("author") or {}
        change = told.get("changelog") or {}
        at = float(told.get("timestamp") or 0) / 1000
        kept: dict[str, Any] = {
            "type": kind,
            "issue": ident,
            "key": str(issue.get("key") or ""),
            "by": _account(person),
            "name": _name(person),
            "order": int(change.get("id") or 0),
            "items": [_item(one) for one in change.get("items") or [] if str(one.get("field")).lower() in FIELDS],
            "labels": [str(one) for one in (issue.get("fields") or {}).get("labels") or []],
            "at": at,
        }
        if comment:
            kept |= {"comment": str(comment["id"]), "author": _name(author), "author_id": _account(author)}
            seen_by = comment.get("visibility") or {}
            kept["only"] = str(seen_by.get("value") or seen_by.get("identifier") or "")
            # What Jira shows to a few only is not kept, and so nobody else can be shown it.
            kept["text"] = "" if seen_by else clip(plain(comment.get("body")), LONGEST)
            kept["at"] = _instant(comment.get("updated") or comment.get("created")) or at
            if kind == "comment_deleted":
                kept["at"] = at
        kept = _storable(kept)
        ident = _identity(kept)
        if len(ident) > LONGEST_ID or not math.isfinite(kept["at"]):
            raise ValueError("no id and no time of Jira's")
        return kept | {"id": ident}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as e:
        raise BadPayload(
            400, "the body is not a Jira webhook: it needs webhookEvent, and an issue or its comment"
        ) from e


def _storable(given: Any) -> Any:
    """The same with every text such that each database takes it."""
    if isinstance(given, str):
        return storable(given)
    if isinstance(given, list):
        return [_storable(one) for one in given]
    return {name: _storable(one) for name, one in given.items()} if isinstance(given, dict) else given


def _identity(kept: Mapping[str, Any]) -> str:
    if kept["type"] == DELETED:
        return f"{kept['issue']}:deleted"
    if kept["type"] == CHANGED:
        # Data Center gives one without changes for a comment or a vote: nothing of it is heard.
        return f"{kept['issue']}:{kept['order'] or kept['at']}"
    if kept["type"] == "comment_deleted":
        return f"{kept['issue']}:{kept['comment']}:deleted"
    said = hashlib.sha256(kept["text"].encode()).hexdigest()[:8]
    return f"{kept['issue']}:{kept['comment']}:{kept['type'].removeprefix('comment_')}:{kept['at']:.3f}:{said}"


def _item(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "field": str(one["field"]).lower(),
        "from": str(one.get("from") or ""),
        "to": str(one.get("to") or ""),
        "from_text": clip(str(one.get("fromString") or ""), 300),
        "to_text": clip(str(one.get("toString") or ""), 300),
    }


def _account(person: Mapping[str, Any]) -> str:
    """Cloud's accountId, or the user's key in Data Center."""
    return str(person.get("accountId") or person.get("key") or person.get("name") or "")


def _name(person: Mapping[str, Any]) -> str:
    return clip(str(person.get("displayName") or person.get("name") or "somebody"), 80)


def _instant(text: Any) -> float:
    """ISO 8601 as UNIX s; 0 when it is not told."""
    return datetime.fromisoformat(str(text)).timestamp() if text else 0.0
