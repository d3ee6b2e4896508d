"""One grammar for four doors: the same line of text works in Slack, on the CLI, on the sandbox page and in tests.

A subject's commands are typed functions ``verb(desk, asker, …) -> Reply``. Their parameters are the grammar:
positional parameters are words, ``*words`` is the rest of the line, keyword-only parameters are ``--options``, which
must be given unless they have a default. The first line of the docstring is the help. A subject that is one command has
it under the verb ``""``: it is said without a verb.
"""

from __future__ import annotations

import enum
import inspect
import shlex
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bot.config import nearest
from bot.errors import Refused

Verb = Callable[..., "Reply"]
Duration = Annotated[str, "DURATION"]
"""A length of time as people say it, such as 30m."""
SMART_QUOTES = {0x201C: '"', 0x201D: '"', 0x201E: '"', 0x2018: "'", 0x2019: "'", 0xA0: " ", 0x2013: "--", 0x2014: "--"}
MAX_LINE = 8000
"""Characters of one command; a title of 4,000 passes with room."""


@dataclass(frozen=True)
class Asker:
    """Who asks, and through which door. ``key`` names the request: asking twice under one key is asking once.

    ``email``: proven by a token of their own; empty in Slack, which knows it, and behind a token that is shared.
    """

    id: str
    name: str
    door: str
    key: str
    channel: str = ""
    email: str = ""


@dataclass(frozen=True)
class Reply:
    """What is said back. ``text`` is complete on its own; ``blocks`` say the same to Slack. ``data`` is for --json."""

    text: str
    blocks: Sequence[dict[str, Any]] = ()
    in_channel: bool = False
    data: Any = None


@dataclass(frozen=True)
class Command:
    """One verb of one subject, read off its function."""

    subject: str
    verb: str
    run: Verb
    help: str
    words: tuple[inspect.Parameter, ...]
    options: tuple[inspect.Parameter, ...]
    hints: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``incident open``; the subject alone where it is the command."""
        return f"{self.subject} {self.verb}".strip()

    @property
    def usage(self) -> str:
        """How to say it: ``incident open SEVERITY SERVICE TITLE…``."""
        parts = [self.name]
        for p in self.words:
            name = p.name.rstrip("_").upper()
            if p.kind is p.VAR_POSITIONAL:
                parts.append(f"{name}…")
            else:
                parts.append(name if p.default is p.empty else f"[{name}]")
        for p in self.options:
            name = "--" + p.name.rstrip("_").replace("_", "-")
            said = name if self.hints.get(p.name) is bool else f"{name} {self._stands_for(p)}"
            parts.append(said if p.default is p.empty else f"[{said}]")
        return " ".join(parts)

    def _stands_for(self, p: inspect.Parameter) -> str:
        """What an option's value is called: as its annotation says, else as the option itself."""
        hint = typing.get_type_hints(self.run, include_extras=True)[p.name]
        return str(next(iter(getattr(hint, "__metadata__", ())), p.name.rstrip("_").upper()))


def commands(subjects: Mapping[str, Mapping[str, Verb]]) -> dict[tuple[str, str], Command]:
    """Read every subject's verbs into commands."""
    made: dict[tuple[str, str], Command] = {}
    for subject, verbs in subjects.items():
        for verb, run in verbs.items():
            parameters = list(inspect.signature(run).parameters.values())[2:]
            words = tuple(p for p in parameters if p.kind is not p.KEYWORD_ONLY)
            options = tuple(p for p in parameters if p.kind is p.KEYWORD_ONLY)
            said = (inspect.getdoc(run) or "").split("\n")[0]
            made[subject, verb] = Command(subject, verb, run, said, words, options, typing.get_type_hints(run))
    return made


def plain(text: str) -> str:
    """Text that every database and service takes: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def split(line: str) -> list[str]:
    """The words of a line, as a shell would see them; typographic quotes count as quotes. Raises Refused."""
    if len(line) > MAX_LINE:
        raise Refused(f"That command has {len(line)} characters; at most {MAX_LINE} can be read. Shorten the title.")
    # An em dash typed before a word is how phones write `--option`; anywhere else it is prose.
    text = plain("".join(_unfancy(line, i, ch) for i, ch in enumerate(line)))
    try:
        return shlex.split(text, comments=False)
    except ValueError:
        # A lone apostrophe ("gateway's down") is prose, not a quotation.
        lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
        lexer.whitespace_split = True
        lexer.quotes = '"'
        lexer.escape = ""
        try:
            return list(lexer)
        except ValueError:
            return text.replace('"', "").split()


def _unfancy(line: str, i: int, ch: str) -> str:
    if ch in "\u2013\u2014":
        starts = i == 0 or line[i - 1].isspace()
        word = i + 1 < len(line) and line[i + 1].isalpha()
        return "--" if starts and word else ch
    return SMART_QUOTES.get(ord(ch), ch)


def parse(known: Mapping[tuple[str, str], Command], line: str) -> tuple[Command, list[Any], dict[str, Any]]:
    """The command a line means, with its arguments. Raises Refused with usage and the nearest valid name."""
    words = split(line)
    subjects = sorted({subject for subject, _ in known})
    if not words:
        raise Refused("Say what to do; `help` lists what there is.")
    subject = words[0].lower()
    if subject not in subjects:
        raise Refused(f"I know no subject '{words[0]}'.{nearest(subject, subjects)} Try `help`.")
    command, left = _command(known, subject, words[1:])
    rest, options = _options(command, left)
    return command, _words(command, rest), options


def _command(known: Mapping[tuple[str, str], Command], subject: str, words: list[str]) -> tuple[Command, list[str]]:
    """The command a subject's words name, and the words left for it."""
    command = known.get((subject, words[0].lower())) if words and words[0] else None
    if command is not None:
        return command, words[1:]
    alone = known.get((subject, ""))
    if alone is not None:
        return alone, words
    verbs = [verb for s, verb in known if s == subject]
    if not words:
        raise Refused(f"`{subject}` wants a verb: {', '.join(verbs)}. Try `help {subject}`.")
    raise Refused(f"`{subject}` has no verb '{words[0]}'.{nearest(words[0].lower(), verbs)} Try `help {subject}`.")


def _options(command: Command, words: list[str]) -> tuple[list[str], dict[str, Any]]:
    byname = {"--" + p.name.rstrip("_").replace("_", "-"): p for p in command.options}
    rest: list[str] = []
    given: dict[str, Any] = {}
    i = 0
    while i < len(words):
        name, eq, value = words[i].partition("=")
        if words[i] == "--":
            rest += words[i + 1 :]
            break
        if not name.startswith("--") or name == "--":
            rest.append(words[i])
            i += 1
            continue
        if name not in byname:
            raise Refused(f"`{command.name}` has no option {name}.{nearest(name, list(byname))}")
        p = byname[name]
        if command.hints.get(p.name) is bool:
            given[p.name] = True
        elif eq:
            given[p.name] = _value(command, p, value)
        elif i + 1 < len(words):
            i += 1
            given[p.name] = _value(command, p, words[i])
        else:
            raise Refused(f"{name} wants a value. Usage: `{command.usage}`")
        i += 1
    for name, p in byname.items():
        if p.default is p.empty and p.name not in given:
            raise Refused(f"{name} is missing. Usage: `{command.usage}`")
    return rest, given


def _words(command: Command, words: list[str]) -> list[Any]:
    made: list[Any] = []
    left = list(words)
    for p in command.words:
        if p.kind is p.VAR_POSITIONAL:
            made += left
            return made
        if left:
            made.append(_value(command, p, left.pop(0)))
        elif p.default is p.empty:
            raise Refused(f"{p.name.rstrip('_').upper()} is missing. Usage: `{command.usage}`")
    if left:
        raise Refused(f"I do not know what to do with '{' '.join(left)[:80]}'. Usage: `{command.usage}`")
    return made


def _value(command: Command, p: inspect.Parameter, text: str) -> Any:
    hint = command.hints.get(p.name, str)
    name = p.name.rstrip("_").upper()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        valid = [str(member.value) for member in hint]
        if text.lower() not in valid:
            raise Refused(f"{name} cannot be '{text[:40]}'. Use one of: {', '.join(valid)}.")
        return hint(text.lower())
    if hint is int:
        if not text.lstrip("-").isdigit() or len(text) > 12:
            raise Refused(f"{name} must be a whole number, not '{text[:40]}'. Usage: `{command.usage}`")
        return int(text)
    return text


def help_text(
    known: Mapping[tuple[str, str], Command],
    subject: str = "",
    *,
    prefix: str = "/captain ",
    may: Callable[[Command], bool] = lambda _command: True,
) -> str:
    """The commands, a line each, of one subject or of all; ``may`` says which of them the asker may use."""
    asked = [c for (s, _), c in sorted(known.items()) if not subject or s == subject.lower()]
    lines = [f"`{prefix}{c.usage}` {c.help}" for c in asked if may(c)]
    if asked and not lines:
        return f"`{subject or 'Everything'}` needs a role that you do not have."
    if not lines:
        return f"I know no subject '{subject}'.{nearest(subject, sorted({s for s, _ in known}))}"
    return "\n".join(lines)
