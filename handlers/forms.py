"""The forms that people fill in in Slack: a line each; which command shows one, who may, and what becomes of what was typed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.effects import Tx
from bot.grammar import Asker, Reply
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import declare, update_form

Fields = Mapping[str, Any]
Read = Callable[[Desk, Fields], tuple[Fields | None, dict[str, str]]]
TYPED = re.compile(r"incident\s+update\s+(.+)", re.IGNORECASE | re.DOTALL)
"""The command whose words somebody has thought about: refused, they are given back."""


@dataclass(frozen=True)
class Form:
    """One form. ``line``: the lines of the grammar that show it; ``ask`` owes it; ``typed``: the field with a text."""

    line: re.Pattern[str]
    ask: Callable[[Tx, str, Fields], None]
    read: Read
    submitted: Callable[[Desk, Asker, Fields], Reply]
    typed: str = ""


def forms() -> Mapping[str, Form]:
    """Callback id → form; the id is the command that the form stands for."""
    return {
        declare.CALLBACK: Form(
            re.compile(r"incident\s+open\s*", re.IGNORECASE), declare.ask, _declared, declare.submitted
        ),
        update_form.CALLBACK: Form(
            update_form.NAMED, update_form.ask, update_form.read, update_form.submitted, typed="text"
        ),
    }


def shows(line: str) -> bool:
    """Whether a line in Slack is answered by a form."""
    return any(one.line.fullmatch(line.strip()) for one in forms().values())


def ask(tx: Tx, key: str, payload: Fields) -> None:
    """Owe the form that a stored request asks for."""
    line = " ".join(str(payload.get("line") or declare.CALLBACK).split())
    found = next((one for name, one in forms().items() if line.lower().startswith(name)), forms()[declare.CALLBACK])
    found.ask(tx, key, payload)


def read(desk: Desk, view: Fields) -> tuple[Fields | None, dict[str, str]]:
    """What was filled in, to be stored, or None and what to say beside each field. ``view``: as Slack sends it back."""
    filled, wrong = forms()[view["callback_id"]].read(desk, view)
    return (None, wrong) if filled is None else ({**filled, "form": view["callback_id"]}, {})


def submitted(desk: Desk, asker: Asker, fields: Fields, *, check: Callable[[str], None]) -> Reply:
    """Do what a stored form asks for; ``check`` raises Refused when its command is not for this person. Raises Refused."""
    name = str(fields.get("form") or declare.CALLBACK)
    check(name)
    return forms()[name].submitted(desk, asker, fields)


def typed(payload: Fields) -> str:
    """What somebody wrote in a request that was not carried out, to be given back with the answer; or empty. mrkdwn."""
    fields = payload.get("form") or {}
    known = forms().get(str(fields.get("form") or ""))
    words = str(fields.get(known.typed, "")) if known is not None and known.typed else ""
    match = TYPED.fullmatch(str(payload.get("line") or "").strip())
    words = words or (match.group(1) if match else "")
    return f"\nWhat you wrote:\n```{escape(words).replace('```', chr(39) * 3)}```" if words else ""


def _declared(desk: Desk, view: Fields) -> tuple[Fields | None, dict[str, str]]:
    filled, wrong = declare.read(desk, view)
    return (None if filled is None else dataclasses.asdict(filled)), wrong
