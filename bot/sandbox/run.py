"""Starts the sandbox: the world, the page and the bot, on this machine alone, until Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from bot.errors import Refused
from bot.sandbox.acts import Acts
from bot.sandbox.bot_process import BotProcess
from bot.sandbox.secrets_file import load_secrets, write_config
from bot.sandbox.server import Commands, Site
from bot.sandbox.world import SERVICES, World
from bot.standin import Served, serve

PORT = 8710
MARK = "sandbox.lock"
"""Its presence tells a sandbox's data folder from any other."""


class Sandbox:
    """Everything that runs. ``port`` 0 takes free ports; the bot's port is the next one unless it is named.

    ``bot_command`` is what is started as the bot; ``{config}`` and ``{port}`` in it are filled in.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = PORT,
        bot_port: int = 0,
        bot_command: Sequence[str] = (),
        services: Sequence[str] = SERVICES,
    ) -> None:
        self.data = data.resolve()
        self.asked_port = port
        self._bot_port = bot_port
        self._bot_command = bot_command or (sys.executable, "-m", "bot", "serve", "--config", "{config}")
        self._services = services
        self._lock: IO[str] | None = None
        self._served: Served | None = None
        self._site: Site | None = None
        self.world: World
        self.bot: BotProcess
        self.url = ""
        self.port = 0

    def start(self) -> None:
        """Start all of it; returns as soon as the page can be read, with the bot on its way.

        Raises Refused when a port is taken, another sandbox uses the data, or the data cannot be read.
        """
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock(self.data)
        try:
            self._start()
        except BaseException:
            self._lock.close()
            raise

    def _start(self) -> None:
        bot_port = self._bot_port or (self.asked_port + 1 if self.asked_port else 0)
        bot_port = check_port(bot_port, "the bot")
        config = self.data / "captain.yml"
        held = load_secrets(self.data / "secrets.json", self._services)
        self.world = World(self.data / "world.json", held, self._services)
        filled = [part.replace("{config}", str(config)).replace("{port}", str(bot_port)) for part in self._bot_command]
        # A setting of the real bot in this shell (CAPTAIN_SLACK__BOT_TOKEN, say) must not reach the pretend world.
        environ = {k: v for k, v in os.environ.items() if not (k.startswith("CAPTAIN_") and "__" in k)}
        self.bot = BotProcess(
            filled,
            port=bot_port,
            log=self.data / "bot.log",
            pid_file=self.data / "bot.pid",
            changed=self.world.touch,
            environ=environ,
        )
        acts = Acts(self.world, self.bot, bearer=held.alertmanager_webhook)
        self._site = Site(self.world, self.bot, acts, Commands(self.bot, held.api_token))
        check_port(self.asked_port, "the sandbox")
        self._served = serve(self._site.app(), port=self.asked_port)
        self.port, self.url = self._served.port, self._served.url
        try:
            self.world.open(port=self.port, bot_port=bot_port)
            write_config(config, held, port=self.port, bot_port=bot_port, services=self._services)
        except BaseException:
            self._served.stop()
            raise
        # What the plan's own checks.yml calls gateway and the observability stack.
        self.bot.start(BASE=f"{self.url}/services/gateway", OBS=f"{self.url}/services")

    def stop(self) -> None:
        """Stop the bot, save the world, close the page, in that order; well under five seconds."""
        self.bot.stop()
        self.world.close()
        if self._site is not None:
            self._site.stream.close()
        if self._served is not None:
            self._served.stop()
        if self._lock is not None:
            self._lock.close()


def run_sandbox(
    data: Path,
    port: int = PORT,
    *,
    bot_port: int = 0,
    bot_command: Sequence[str] = (),
    say: Callable[[str], None] = print,
    ready_within: float = 60.0,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM; only for the main thread. Raises Refused when it cannot start."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    sandbox = Sandbox(data, port=port, bot_port=bot_port, bot_command=bot_command)
    began = time.monotonic()
    try:
        sandbox.start()
        try:
            say(f"Release Captain sandbox: {sandbox.url}  (data in {data}; Ctrl-C stops it)")
            _tell_when_ready(sandbox, ended, say, began, ready_within)
            ended.wait()
            say("Stopping…")
        finally:
            sandbox.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_when_ready(
    sandbox: Sandbox, ended: threading.Event, say: Callable[[str], None], began: float, within: float
) -> None:
    deadline = began + within
    while not ended.is_set() and time.monotonic() < deadline:
        if sandbox.bot.wait_ready(0.1):
            say(f"The bot is up, {time.monotonic() - began:.1f} s after the start.")
            return
    if not ended.is_set():
        say(f"The bot is not up yet. The end of {sandbox.bot.log}:\n{sandbox.bot.tail()}")


def check_port(port: int, whose: str) -> int:
    """A port that can be listened on (a free one for 0); raises Refused with what to do when it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as e:
            raise Refused(
                f"Port {port}, which {whose} would use, is taken or not allowed ({e.strerror if isinstance(e, OSError) else e}). "
                "Choose another: `captain sandbox --port 8800` (the bot takes the one after it, or --bot-port), "
                'or `make sandbox ARGS="--port 8800"`.'
            ) from e
        return int(trial.getsockname()[1])


def lock(data: Path) -> IO[str]:
    """Hold the data folder for this process alone; closing the file lets go. Raises Refused when it is held."""
    held = (data / MARK).open("a", encoding="ascii")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        held.close()
        raise Refused(
            f"A sandbox is already running on {data}. Stop it first, or give this one its own folder with --data."
        ) from e
    return held


def reset_sandbox(data: Path) -> bool:
    """Forget all a sandbox kept; False when there was nothing. Raises Refused for a folder that is no sandbox's."""
    data = data.resolve()
    if not data.exists():
        return False
    if not (data / MARK).exists():
        raise Refused(f"{data} does not look like a sandbox's data ({MARK} is missing), so nothing was deleted.")
    with lock(data):
        shutil.rmtree(data)
    return True
