"""`captain sandbox …`: runs the sandbox, and does from a script what its page does."""

from __future__ import annotations

import functools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from bot.errors import Refused
from bot.sandbox.remote import Remote
from bot.sandbox.report import summary, texts_of
from bot.sandbox.run import PORT, reset_sandbox, run_sandbox
from bot.standin import Mode

P = ParamSpec("P")
DATA = Path("data/sandbox")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}

Port = Annotated[
    int, typer.Option("--port", envvar="CAPTAIN_SANDBOX_PORT", help="The sandbox's port; the bot takes the next one.")
]
Data = Annotated[Path, typer.Option("--data", envvar="CAPTAIN_SANDBOX_DATA", help="Where it keeps everything.")]
BotPort = Annotated[int, typer.Option("--bot-port", help="The bot's own port, when the next one is taken.")]
As = Annotated[str, typer.Option("--as", help="Who does it: alice, bob or carol.")]
Service = Annotated[str, typer.Argument(help="A service of the sandbox, such as docs-api.")]


def sandbox_app() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(
        help="A pretend Slack, PagerDuty, Jira, Kubernetes and Prometheus around a real bot, on this machine alone.",
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(start)
    app.command("break")(break_)
    for act in (run, reset, send, say, press, mend, trouble, burn, calm, deploy, kill, state):
        app.command()(act)
    return app


def seconds(text: str) -> float:
    """``30s``, ``2m``, ``1h``, ``500ms`` or plain seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"'{text}' is no duration; write it like 30s, 2m or 1h")
    return float(found[1]) * UNITS[found[2]]


def _saying(act: Callable[P, None]) -> Callable[P, None]:
    """A command whose refusal is one sentence on stderr and exit code 1."""

    @functools.wraps(act)
    def run(*args: P.args, **more: P.kwargs) -> None:
        try:
            act(*args, **more)
        except Refused as e:
            typer.echo(str(e), err=True)
            raise typer.Exit(1) from e

    return run


@_saying
def start(context: typer.Context, port: Port = PORT, data: Data = DATA, bot_port: BotPort = 0) -> None:
    """Start the sandbox (the same as `run`), or do something in the one that runs."""
    context.obj = port
    if context.invoked_subcommand is None:
        run_sandbox(data, port, bot_port=bot_port, say=functools.partial(print, flush=True))


def _there(context: typer.Context, port: int) -> Remote:
    """The sandbox meant: a --port after the subcommand wins over one before it."""
    return Remote(port if port != PORT else int(context.obj or PORT))


@_saying
def run(context: typer.Context, port: Port = PORT, data: Data = DATA, bot_port: BotPort = 0) -> None:
    """Start the sandbox and the bot; Ctrl-C stops both, and the next start goes on where this one ended."""
    run_sandbox(data, _there(context, port).port, bot_port=bot_port, say=functools.partial(print, flush=True))


@_saying
def reset(data: Data = DATA) -> None:
    """Forget all that the sandbox kept. It must not be running."""
    typer.echo(f"Emptied {data}." if reset_sandbox(data) else f"There was nothing in {data}.")


@_saying
def send(
    context: typer.Context,
    file: Annotated[typer.FileText, typer.Argument(help="A file with an Alertmanager webhook body; - for stdin.")],
    port: Port = PORT,
) -> None:
    """Post an Alertmanager body to the bot, as Alertmanager would."""
    try:
        body = json.load(file)
    except ValueError as e:
        raise Refused(f"{file.name} is not JSON: {e}.") from e
    done = _there(context, port).act("send", {"body": body})
    typer.echo(f"The bot answered {done['status']}: {_line(done['answer'])}")
    if not 200 <= done["status"] < 300:
        raise typer.Exit(1)


@_saying
def say(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="Where, such as '#docs-api'.")],
    text: Annotated[str, typer.Argument(help="A message, or a slash command such as '/incident list'.")],
    who: As = "alice",
    thread: Annotated[str, typer.Option("--thread", help="The ts of the message to answer.")] = "",
    wait: Annotated[str, typer.Option("--wait", help="Wait this long for the bot's answer and print it.")] = "",
    port: Port = PORT,
) -> None:
    """Say something in a channel, as a person would, or run a slash command."""
    there = _there(context, port)
    patience = seconds(wait) if wait else 0.0
    seen = {_mark(row) for row in there.state()["slack"]["messages"]} if wait else set()
    body = {"channel": channel, "text": text, "user": who} | ({"thread_ts": thread} if thread else {})
    done = there.act("say", body)
    typer.echo(f"{who} ran {done['command']}" if "command" in done else f"{who} said it; ts {done['ts']}")
    for row in _answers(there, seen, who, patience) if wait else []:
        typer.echo(texts_of(row))


def _mark(row: dict[str, Any]) -> str:
    return f"{row['channel']}/{row['ts']}"


def _answers(there: Remote, seen: set[str], who: str, patience: float) -> Iterator[dict[str, Any]]:
    """Messages of the bot that ``who`` can see and that are not in ``seen``, as they come, until half a second of quiet."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        state = there.state()["slack"]
        person = next((row["id"] for row in state["users"] if who in (row["id"], row["name"])), who)
        for row in state["messages"]:
            if _mark(row) in seen or row["user"] == person or row["ephemeral_to"] not in (None, person):
                continue
            seen.add(_mark(row))
            deadline = min(deadline, time.monotonic() + 0.5)
            yield row
        time.sleep(0.1)


@_saying
def press(
    context: typer.Context,
    message: Annotated[str, typer.Argument(help="A ts, `last`, or a piece of the message's text.")],
    button: Annotated[str, typer.Argument(help="The button's label or its action_id.")],
    choice: Annotated[str, typer.Option("--choose", help="For a select: the option's label or value.")] = "",
    channel: Annotated[str, typer.Option("--channel", help="Look in this channel only.")] = "",
    who: As = "alice",
    port: Port = PORT,
) -> None:
    """Press a button of a message."""
    body = {"message": message, "button": button, "user": who, "channel": channel}
    done = _there(context, port).act("press", body | ({"selected": choice} if choice else {}))
    typer.echo(f"{who} pressed {done['pressed']} of {done['message']} in #{done['channel']}")


@_saying
def break_(
    context: typer.Context,
    service: Annotated[
        str, typer.Argument(help="slack, pagerduty, jira, kubernetes, prometheus, alertmanager, heartbeat or services.")
    ],
    mode: Annotated[Mode, typer.Argument(help="How it fails; `reset` acts, then drops the connection.")],
    length: Annotated[str, typer.Option("--for", help="How long, such as 30s or 2m; without it until mended.")] = "",
    times: Annotated[int, typer.Option("--times", help="Only so many calls.", min=0)] = 0,
    only: Annotated[str, typer.Option("--only", help="Only calls whose path contains this.")] = "",
    retry_after: Annotated[int, typer.Option("--retry-after", help="Seconds a 429 asks to wait.", min=1)] = 5,
    port: Port = PORT,
) -> None:
    """Break a stand-in: 500, 503, 429, hang, reset or late."""
    body: dict[str, Any] = {"service": service, "mode": mode.value, "only": only, "retry_after": retry_after}
    body["seconds"] = seconds(length) if length else None
    body["times"] = times or None
    _there(context, port).act("break", body)
    typer.echo(f"{service} is broken ({mode.value}) {f'for {length}' if length else 'until it is mended'}")


@_saying
def mend(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="Which one; without it all of them.")] = "",
    port: Port = PORT,
) -> None:
    """Mend a stand-in, or all, and then end every trouble as well."""
    _there(context, port).act("mend", {"service": service})
    typer.echo(f"{service or 'Everything'} works again")


@_saying
def trouble(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which one; without it they are listed.")] = "",
    over: Annotated[
        bool, typer.Option("--over", help="It is as if it had never been; without a name all of them.")
    ] = False,
    port: Port = PORT,
) -> None:
    """Make a trouble that a shipped runbook finds, such as plaintext, agent-down, cache-cold or seeding-stuck."""
    there = _there(context, port)
    if name or over:
        there.act("trouble", {"name": name, "over": over})
        typer.echo(f"{name or 'Every trouble'} is over" if over else f"Trouble: {name}")
        return
    for row in there.state()["world"]["troubles"]:
        typer.echo(f"{'on ' if row['on'] else '   '} {row['name']:<17} {row['about']} (runbook {row['runbook']})")


@_saying
def burn(
    context: typer.Context,
    service: Service,
    kind: Annotated[str, typer.Option("--kind", help="fast (pages) or slow (a ticket).")] = "fast",
    port: Port = PORT,
) -> None:
    """Let a service burn its error budget."""
    _there(context, port).act("burn", {"service": service, "kind": kind})
    typer.echo(f"{service} burns its error budget ({kind})")


@_saying
def calm(context: typer.Context, service: Service, port: Port = PORT) -> None:
    """End a burn: the alerts resolve."""
    _there(context, port).act("calm", {"service": service})
    typer.echo(f"{service} is calm again")


@_saying
def deploy(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="A service of the sandbox, such as docs-api.")] = "docs-api",
    bad: Annotated[bool, typer.Option("--bad", help="One that answers with errors, so that its checks fail.")] = False,
    who: As = "alice",
    port: Port = PORT,
) -> None:
    """Roll out the next version of a service: the bot sees it in the cluster, says it and checks it."""
    done = _there(context, port).act("deploy", {"service": service, "bad": bad, "user": who})
    kind = ", a bad one" if bad else ""
    typer.echo(f"{who} deploys {service} {done['before']} -> {done['version']}{kind}; watch #{service}")


@_saying
def kill(
    context: typer.Context,
    length: Annotated[str, typer.Option("--for", help="Keep it down this long before it starts again.")] = "",
    port: Port = PORT,
) -> None:
    """Kill -9 the bot; the sandbox starts it again."""
    done = _there(context, port).act("kill", {"seconds": seconds(length) if length else 0})
    typer.echo(f"killed {done['killed']}")


@_saying
def state(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    port: Port = PORT,
) -> None:
    """What each stand-in holds."""
    held = _there(context, port).state()
    if as_json:
        json.dump(held, sys.stdout, indent=2, ensure_ascii=False)
        typer.echo()
    else:
        typer.echo(summary(held))


def _line(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)
