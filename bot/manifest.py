"""The Slack app manifest, read off the code: what the bot hears and which scopes its calls need."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from bot import grammar
from bot.grammar import Command
from bot.integrations.slack import SlackSettings
from handlers.incidents import declare
from handlers.subjects import SUBJECTS
from handlers.timeline import hear

SCOPES = (
    "bookmarks:read",  # what stands above an incident's own channel already
    "bookmarks:write",  # its ticket, thread, runbook and dashboard
    "channels:history",  # to look for a message of ours whose fate is unknown, to read marked ones and hear of their edits
    "channels:manage",  # to make an incident's own channel and ask people in; see incidents.channel_for
    "channels:read",
    "chat:write",
    "chat:write.public",
    "commands",
    "files:write",
    "groups:history",  # the same in private channels
    "groups:read",  # the name of a private channel
    "groups:write",  # to make the channel of a private incident and ask people in
    "pins:read",  # what is pinned goes into the timeline
    "pins:write",  # the panel in an incident's own channel
    "reactions:read",  # so does what is marked with an emoji; another one opens an incident
    "usergroups:read",  # whose roles are by user group
    "users:read",
    "users:read.email",
)


def render(settings: SlackSettings | None, public_url: str) -> str:
    """The manifest as YAML, for Socket Mode or for signed HTTP requests."""
    socket = settings is None or settings.mode == "socket"
    command = settings.command if settings else "/captain"
    url = f"{public_url or 'https://captain.example.com'}/slack/events"
    known = grammar.commands(SUBJECTS)
    slashes = [{"command": command, "description": "Incidents and releases", "usage_hint": "help"}]
    slashes += [_slash(subject, [c for c in known.values() if c.subject == subject]) for subject in SUBJECTS]
    if not socket:
        slashes = [{**slash, "url": url} for slash in slashes]
    events: dict[str, object] = {"bot_events": ["app_home_opened", *hear.EVENTS]}
    interactivity: dict[str, object] = {"is_enabled": True}
    if not socket:
        events["request_url"] = url
        interactivity["request_url"] = url
    made = {
        "display_information": {"name": "Release Captain"},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                # Without this tab Slack refuses direct messages of the app; people need not write into it.
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "Release Captain", "always_online": True},
            "slash_commands": slashes,
            "shortcuts": [
                {"name": "Open an incident", "type": kind, "callback_id": declare.CALLBACK, "description": said}
                for kind, said in (
                    ("message", "Open an incident from this message"),
                    ("global", "Open an incident"),
                )
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True)


def _slash(subject: str, commands: Sequence[Command]) -> dict[str, str]:
    """A subject's slash command: it hints at its verbs, or at its words where it has no verb."""
    alone = next((c for c in commands if not c.verb), None)
    hint = "|".join(c.verb for c in commands if c.verb)
    if alone is None:
        return {"command": f"/{subject}", "description": f"The {subject} commands", "usage_hint": hint}
    words = alone.usage.removeprefix(subject).strip()
    return {"command": f"/{subject}", "description": alone.help, "usage_hint": "|".join(filter(None, (words, hint)))}
