"""Asks the running bot one line of the grammar, through its door for the CLI, and says what it answers."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import sys
from pathlib import Path

import requests

from bot import config
from bot.config import OwnSection
from bot.errors import ConfigError, Refused

USAGE = """\
Usage: captain SUBJECT [VERB] … [--as NAME] [--json] [--config FILE]

Asks the running bot; `captain help` lists what it can be asked. CAPTAIN_TOKEN is a token of your own, by which it knows
you (permissions.tokens in its captain.yml); without it captain.api_token is used, which proves nobody's name.

  --as NAME      who you are, for the record (or CAPTAIN_USER; else your login)
  --json         print plain JSON
  --config FILE  the bot's captain.yml (or CAPTAIN_CONFIG; else ./captain.yml)
"""
TIMEOUT = 15.0


def main() -> int:
    """Exit code 0 when it was done, 2 when it was refused or nobody answered."""
    try:
        words, options = _options(sys.argv[1:])
        if "--help" in words or "-h" in words or not words:
            sys.stdout.write(USAGE)
            return 0
        told = ask(" ".join(shlex.quote(word) for word in words), options["as"], Path(options["config"]))
    except (Refused, ConfigError) as e:
        sys.stderr.write(f"{e}\n")
        return 2
    shown = json.dumps(told["data"], indent=2, ensure_ascii=False) if options["json"] else told["text"]
    try:
        sys.stdout.write(f"{shown}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def ask(line: str, name: str, config_file: Path) -> dict[str, object]:
    """Send one line. Raises Refused with the bot's own sentence, or with what to do when nobody answers."""
    settings = config.load(config_file, OwnSection, config.environment()).captain
    own = os.environ.get("CAPTAIN_TOKEN", "")
    token = own or (settings.api_token.get_secret_value() if settings.api_token else "")
    if not token:
        raise Refused(f"{config_file}: captain.api_token is not set, so the bot's door for the CLI is shut; set it")
    host, port = settings.address
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{port}/api/command"
    headers = {"authorization": f"Bearer {token}"}
    try:
        answer = requests.post(url, json={"line": line, "as": name}, headers=headers, timeout=TIMEOUT)
        told: dict[str, object] = answer.json()
    except (requests.RequestException, ValueError) as e:
        raise Refused(f"The bot does not answer at {url}. Is `captain serve` running? ({type(e).__name__})") from e
    if answer.status_code != 200:
        raise Refused(str(told.get("error", answer.text)))
    return told


def _options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Our own options, wherever they stand; the rest is the line."""
    given = {
        "as": os.environ.get("CAPTAIN_USER") or _login(),
        "json": "",
        "config": os.environ.get("CAPTAIN_CONFIG", "captain.yml"),
    }
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, eq, value = word.partition("=")
        if word == "--json":
            given["json"] = "yes"
        elif name in ("--as", "--config", "-c"):
            if not eq and not left:
                raise Refused(f"{name} wants a value.\n\n{USAGE}")
            given["as" if name == "--as" else "config"] = value if eq else left.pop(0)
        else:
            rest.append(word)
    return rest, given


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"  # a container's user may have no name


if __name__ == "__main__":
    raise SystemExit(main())
