"""Text as Jira writes it: ours without meaning as wiki markup, theirs from wiki text or from an Atlassian Document."""

from __future__ import annotations

import re
from typing import Any

MARKUP = re.compile(r"[{\[]|!(?=\S)")
"""What begins a macro, a link or mention, and a picture: nobody is to be notified, and nothing loaded, by an alert's text."""
MENTION = re.compile(r"\[~([^\]\s]{1,200})\]")
DEEPEST = 50


def escaped(text: str) -> str:
    """Plain text as wiki markup that shows it as it is. Addresses stay what they are."""
    return "".join(
        part if part.startswith(("http://", "https://")) else MARKUP.sub(r"\\\g<0>", part)
        for part in re.split(r"(\s+)", text)
    )


def plain(body: Any) -> str:
    """What a person wrote: wiki text as it stands, but for mentions; a document (API 3) as its text, a line a block."""
    if isinstance(body, str):
        return MENTION.sub(lambda found: "@somebody" if ":" in found.group(1) else f"@{found.group(1)}", body).strip()
    return _text(body, 0).strip() if isinstance(body, dict) else ""


def _text(node: Any, depth: int) -> str:
    if not isinstance(node, dict) or depth > DEEPEST:
        return ""
    kind = node.get("type")
    if kind == "hardBreak":
        return "\n"
    if kind in ("mention", "emoji", "inlineCard"):
        attrs = node.get("attrs") or {}
        return str(attrs.get("text") or attrs.get("url") or attrs.get("shortName") or "")
    content = node.get("content")
    inner = "".join(_text(one, depth + 1) for one in content) if isinstance(content, list) else ""
    block = kind in ("paragraph", "heading", "codeBlock", "blockquote", "listItem", "rule", "tableRow")
    return str(node.get("text", "")) + inner + ("\n" if block and not inner.endswith("\n") else "")
