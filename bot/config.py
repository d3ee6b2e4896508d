"""Reads captain.yml once, checks it against a model, and says file, line and nearest valid name for every mistake."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from bot.errors import ConfigError
from bot.yaml_lines import Document, Place, parse

M = TypeVar("M", bound=BaseModel)

ENV_REF = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
MAX_BYTES = 1_000_000


class CaptainSettings(BaseModel):
    """The ``captain:`` section of captain.yml: the process itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field("sqlite:///data/bot.db", description="sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    listen: str = Field(
        "127.0.0.1:8080", description="address and port of webhooks, health, metrics and the CLI's door"
    )
    public_url: str = Field("", description="where people and services reach the bot from outside")
    api_token: SecretStr | None = Field(None, description="bearer token of the CLI's door; without it the door is shut")
    status_secret: SecretStr | None = Field(
        None, min_length=16, description="signs the links to the status page; without it the page is off"
    )
    runbooks: str = Field("", description="the older name of runbooks.folder")
    lease: float = Field(
        15.0, ge=2, description="seconds of silence after which another replica takes a process for dead"
    )
    retention_days: float = Field(90.0, gt=0, description="how long alerts, refusals and finished work are kept")

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:8080")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) to bind; port 0 takes a free one."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class OwnSection(BaseModel):
    """captain.yml for who needs its section about the process alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    captain: CaptainSettings = CaptainSettings()


def load(
    path: Path,
    model: type[M],
    environ: Mapping[str, str],
    judge: Callable[[M], Iterable[tuple[Place, str]]] = lambda _made: (),
) -> M:
    """Read ``path`` and the environment into ``model``.

    ``judge`` finds what no single section can see: it yields (place, sentence) for each mistake.

    ``${NAME}`` and ``${NAME:-default}`` in values are taken from the environment. ``CAPTAIN_SECTION__FIELD=value``
    overrides one field of a top-level section. Raises ConfigError with every mistake found, a line each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise ConfigError(
            f"{path} does not exist; name your captain.yml with --config or CAPTAIN_CONFIG, "
            "or start from captain.example.yml"
        ) from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read: {e}") from e
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes; this cannot be a captain.yml")
    document = _sections(path, text)
    problems: list[str] = []
    values = document.values
    if model.model_config.get("extra") == "ignore":
        # Who needs one section is not asked for the secrets of the others.
        values = {name: value for name, value in values.items() if name in model.model_fields}
    data = _environment(values, environ, document, problems)
    for name, value in sorted(environ.items()):
        _override(data, name, value, model)
    try:
        made = model.model_validate(data)
    except ValidationError as e:
        problems += [_say(document, model, error) for error in e.errors()]
        raise ConfigError("\n".join(problems)) from None
    problems += [f"{path}:{document.line(place)}: {_dotted(place)}: {why}" for place, why in judge(made)]
    if problems:
        raise ConfigError("\n".join(problems))
    return made


def nearest(name: str, valid: Iterator[str] | list[str]) -> str:
    """`` Did you mean 'x'?`` for the closest valid name, or the list of them, or nothing."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Valid: {', '.join(names[:20])}." if names else ""


def _sections(path: Path, text: str) -> Document:
    document = parse(path, text, aliases="are not used here")
    document.settle()
    if document.values is None:
        raise ConfigError(f"{path} is empty; start from captain.example.yml")
    if not isinstance(document.values, dict):
        raise ConfigError(f"{path}:1: the file must be a mapping of sections (captain:, slack:, services: …)")
    return document


def _environment(
    value: Any, environ: Mapping[str, str], document: Document, problems: list[str], place: Place = ()
) -> Any:
    if isinstance(value, dict):
        return {k: _environment(v, environ, document, problems, (*place, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_environment(v, environ, document, problems, (*place, i)) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name in environ:
            return environ[name]
        if default is not None:
            return default
        where = f"{document.path}:{document.line(place)}: {_dotted(place)}"
        problems.append(f"{where} needs the environment variable {name}, which is not set")
        return "unset"

    return ENV_REF.sub(fill, value)


def _override(data: dict[str, Any], name: str, value: str, model: type[BaseModel]) -> None:
    """CAPTAIN_SLACK__BOT_TOKEN=… sets slack.bot_token; other CAPTAIN_ variables are not ours to judge."""
    if not name.startswith("CAPTAIN_") or "__" not in name:
        return
    section, _, field = name.removeprefix("CAPTAIN_").lower().partition("__")
    if section in model.model_fields and section not in ("services", "flags", "actions", "slos", "maintenance"):
        inner = data.setdefault(section, {})
        if isinstance(inner, dict):
            inner[field] = value


def _say(document: Document, model: type[BaseModel], error: Any) -> str:
    place: Place = tuple(error["loc"])
    where = f"{document.path}:{document.line(place)}: {_dotted(place)}"
    if error["type"] == "extra_forbidden":
        valid = _fields(model, place[:-1])
        return f"{where} is not known here.{nearest(str(place[-1]), valid)}"
    if error["type"] == "missing":
        return f"{where} is missing"
    given = error.get("input")
    shown = "" if isinstance(given, (dict, list)) or _secret(model, place) else f" (it is {given!r})"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[0].lower() + message[1:]}{shown}"


def _secret(model: type[BaseModel], place: Place) -> bool:
    """True when the field at a place holds a secret, whose value no message may show."""
    holder = _model_at(model, place[:-1])
    field = holder.model_fields.get(str(place[-1])) if holder and place else None
    return field is None or "SecretStr" in str(field.annotation)


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """The valid names at a place of the model."""
    holder = _model_at(model, place)
    return list(holder.model_fields) if holder else []


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The section at a place, following sections, optional sections and mappings of sections."""
    current: type[BaseModel] | None = model
    for step in place:
        if current is None:
            return None
        field = current.model_fields.get(str(step))
        if field is None:
            continue  # a name inside a mapping, such as services.NAME
        current = _model_in(field.annotation)
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _dotted(place: Place) -> str:
    return ".".join(str(step) for step in place)


def environment() -> Mapping[str, str]:
    """The process's environment, as it is when the bot starts."""
    return dict(os.environ)
