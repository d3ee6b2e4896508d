"""Text and blocks made to fit: escaped for mrkdwn, cut where Slack's limits are, with a sign that something is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bot.integrations.slack import Block

TEXT = 4000
"""Characters of a message's text; Slack splits longer ones when posted and refuses them when edited."""
BLOCKS = 50
VIEW_BLOCKS = 100
ALL_BLOCKS = 12_000
"""Serialised characters of a message's blocks; Slack answers msg_blocks_too_long somewhat above this."""
ID_ROOM, NOTE_ROOM = 30, 120
"""Characters kept free for the block_id Slack adds to each block, and for the note that says how many are left out."""
SECTION, FIELD, HEADER, LABEL, VALUE, TITLE = 3000, 2000, 150, 75, 2000, 24
FIELDS, CONTEXT, ACTIONS = 10, 10, 25
OPTIONS = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10}
_LESS = (3000, 1200, 400, 120, 40)
"""Ever shorter texts tried on a block that alone is too large for a message."""
_TAIL = re.compile(r"&[a-z]{0,4}\Z|<[^<>]*\Z")
"""An entity or a <link> that a cut has opened and not closed."""

Cut = Callable[[str, int], str]


def escape(text: str) -> str:
    """Text from outside, so that Slack shows it as it is: no mention, link or entity comes out of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """The same text for where it is not Slack that shows it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def clip(text: str, most: int) -> str:
    """At most ``most`` characters, ended by … when cut; never in the middle of an entity, a mention or a link."""
    if len(text) <= most:
        return text
    kept = _TAIL.sub("", text[: max(0, most - 1)]).rstrip()
    if kept.count("```") % 2:  # An open code block would swallow what follows.
        kept = _TAIL.sub("", kept[: max(0, most - 4)]).rstrip("` ")
        return f"{kept}…```" if kept.count("```") % 2 else f"{kept}…"
    return f"{kept}…"


def fit(
    blocks: Sequence[Block], text: str = "", *, most: int = BLOCKS, total: int | None = ALL_BLOCKS
) -> tuple[list[Block], str]:
    """Blocks and text that Slack takes, whatever their size was.

    Texts are cut with …; fields, options and blocks past a limit are left out, and a last context says how many blocks.
    Without ``text`` the first words of the blocks stand in for it: it is what a notification shows. Blocks of a kind Slack
    does not know are not repaired: that is a mistake to be seen.
    """
    fitted: list[list[Block]] = [_fit_block(block) for block in blocks]
    flat = _unique_ids([part for parts in fitted for part in parts])
    kept = flat[:most] if len(flat) <= most else flat[: most - 1]
    if total is not None:
        kept = _within(kept, total)
    left = len(flat) - len(kept)
    if left:
        kept.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"… {left} more"}]})
    return kept, clip(text if text.strip() else first_words(blocks), TEXT)


def fit_view(view: Mapping[str, Any]) -> dict[str, Any]:
    """A modal or home tab that Slack takes: titles of 24 characters, at most 100 blocks."""
    out = dict(view)
    for name in ("title", "submit", "close"):
        if isinstance(out.get(name), dict):
            out[name] = _text(out[name], TITLE)
    out["blocks"], _ = fit(view.get("blocks", ()), most=VIEW_BLOCKS, total=None)
    return out


def first_words(blocks: Iterable[Mapping[str, Any]]) -> str:
    """The first text that stands in the blocks; "…" when there is none."""
    for block in blocks:
        for part in (block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())):
            words = part.get("text") if isinstance(part, dict) else part
            if isinstance(words, str) and words.strip():
                return words
    return "…"


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))


def _within(blocks: list[Block], total: int) -> list[Block]:
    """The blocks from the top that together stay within ``total``; a lone giant is shortened until it does."""
    if _size(blocks) + ID_ROOM * len(blocks) <= total:
        return blocks
    room = total - NOTE_ROOM
    kept: list[Block] = []
    for block in blocks:
        wanted = block
        if not kept:
            wanted = next(
                (small for small in (_shorter(block, n) for n in _LESS) if _size([small]) + ID_ROOM <= room), block
            )
        room -= _size([wanted]) + ID_ROOM
        if room < 0:
            break
        kept.append(wanted)
    return kept


def _shorter(value: Any, most: int) -> Any:
    """The same block with every text at most ``most`` characters."""
    if isinstance(value, list):
        return [_shorter(item, most) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: clip(content, most) if name == "text" and isinstance(content, str) else _shorter(content, most)
        for name, content in value.items()
    }


def _unique_ids(blocks: list[Block]) -> list[Block]:
    """Slack makes up a block_id where none is given and refuses one that comes twice."""
    seen: set[str] = set()
    out = []
    for block in blocks:
        name = str(block.get("block_id") or "")[:255]
        kept = {key: value for key, value in block.items() if key != "block_id"}
        if name and name not in seen:
            kept["block_id"] = name
            seen.add(name)
        out.append(kept)
    return out


def _text(value: Mapping[str, Any], most: int) -> dict[str, Any]:
    words = str(value.get("text") or "")
    return {**value, "text": clip(words, most) or "…"}


def _fit_block(block: Block) -> list[Block]:
    """One block as the blocks it takes to hold it: more than one for a long row of buttons."""
    kind, out = block.get("type"), dict(block)
    if kind == "actions":
        parts = [_fit_element(part) for part in block.get("elements", ())]
        rows = [parts[i : i + ACTIONS] for i in range(0, len(parts), ACTIONS)]
        return [{**(out if i == 0 else {"type": "actions"}), "elements": row} for i, row in enumerate(rows)]
    if kind == "section":
        return _fit_section(out)
    if kind == "context":
        return _fit_context(out)
    if kind == "header":
        out["text"] = _text(block["text"], HEADER)
    elif kind == "markdown":
        out["text"] = clip(str(block["text"]), SECTION) or "…"
    elif kind == "image":
        return _fit_image(out)
    elif kind == "input":
        out["element"] = _fit_element(block["element"])
        for name in ("label", "hint"):
            if isinstance(block.get(name), dict):
                out[name] = _text(block[name], FIELD)
    return [out]


def _fit_section(out: Block) -> list[Block]:
    if isinstance(out.get("text"), dict):
        out["text"] = _text(out["text"], SECTION)
    fields = out.pop("fields", None)
    if fields:
        shown = [_text(field, FIELD) for field in fields]
        if len(shown) > FIELDS:
            shown = [*shown[: FIELDS - 1], {"type": "mrkdwn", "text": f"… {len(shown) - FIELDS + 1} more"}]
        out["fields"] = shown
    if isinstance(out.get("accessory"), dict):
        out["accessory"] = _fit_element(out["accessory"])
    return [out] if "text" in out or "fields" in out else []


def _fit_context(out: Block) -> list[Block]:
    parts = [_text(part, SECTION) if "text" in part else _fit_element(part) for part in out.get("elements", ())]
    if len(parts) > CONTEXT:
        parts = [*parts[: CONTEXT - 1], {"type": "mrkdwn", "text": f"… {len(parts) - CONTEXT + 1} more"}]
    out["elements"] = parts
    return [out] if parts else []


def _fit_image(out: Block) -> list[Block]:
    out["alt_text"] = clip(str(out.get("alt_text") or ""), FIELD) or "…"
    if isinstance(out.get("title"), dict):
        out["title"] = _text(out["title"], FIELD)
    return [out]


def _fit_element(part: Mapping[str, Any]) -> dict[str, Any]:
    """A button, a select, an input: its words, its value, its options."""
    out, kind = dict(part), part.get("type")
    if "action_id" in out:
        out["action_id"] = str(out["action_id"])[:255]
    if isinstance(out.get("text"), dict):
        out["text"] = _text(out["text"], LABEL)
    if isinstance(out.get("placeholder"), dict):
        out["placeholder"] = _text(out["placeholder"], HEADER)
    for name, most in (
        ("value", VALUE),
        ("initial_value", SECTION),
        ("alt_text", FIELD),
        ("accessibility_label", LABEL),
    ):
        if isinstance(out.get(name), str):
            out[name] = clip(out[name], most)
    if kind == "image":
        out["alt_text"] = out.get("alt_text") or "…"
    if isinstance(out.get("confirm"), dict):
        limits = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
        out["confirm"] = {
            name: _text(value, limits[name]) if name in limits else value for name, value in out["confirm"].items()
        }
    most = OPTIONS.get(str(kind), 100)
    for name in ("options", "initial_options"):
        if isinstance(out.get(name), list):
            out[name] = [_option(option) for option in out[name][:most]]
    if isinstance(out.get("initial_option"), dict):
        out["initial_option"] = _option(out["initial_option"])
    if isinstance(out.get("option_groups"), list):
        out["option_groups"] = [_group(group) for group in out["option_groups"][:100]]
    return out


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": _text(group["label"], LABEL), "options": [_option(option) for option in group["options"][:100]]}


def _option(option: Mapping[str, Any]) -> dict[str, Any]:
    out = {**option, "text": _text(option["text"], LABEL), "value": clip(str(option["value"]), 150)}
    if isinstance(option.get("description"), dict):
        out["description"] = _text(option["description"], LABEL)
    return out
