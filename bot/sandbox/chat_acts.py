"""What the people of the pretend workspace do, asked for by the page or the command line: write, press, fill in, react."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bot.errors import Refused
from bot.integrations.slack.fake import FakeSlack

Body = Mapping[str, Any]
Done = dict[str, Any]

SENTENCES = {
    "user_not_found": "There is no such person in the workspace.",
    "channel_not_found": "There is no such channel.",
    "is_archived": "That channel is archived.",
    "not_in_channel": "That person is not in the channel.",
    "message_not_found": "There is no such message, or that person cannot see it.",
    "thread_not_found": "There is no message with that thread_ts in the channel.",
    "element_not_found": "That message or view has no such element.",
    "option_not_offered": "That option is not offered there.",
    "view_not_found": "That view is closed, or belongs to somebody else.",
    "view_has_no_submit": "That view has nothing to submit.",
    "unknown_command": "Slack knows no such slash command.",
    "no_text": "There is nothing to say.",
    "cant_update_message": "Only one's own message can be edited.",
    "cant_delete_message": "Only one's own message can be deleted.",
    "invalid_name": "There is no such emoji.",
    "already_pinned": "That message is pinned already.",
    "no_pin": "That message is not pinned.",
    "not_pinnable": "That message cannot be pinned.",
    "already_reacted": "That person has already reacted so.",
    "no_reaction": "That person has not reacted so.",
    "operation_timeout": "The bot did not answer within three seconds, which is what Slack calls operation_timeout.",
    "dispatch_failed": "The bot is not connected to Slack, so this could not reach it (dispatch_failed).",
    "invalid_command_response": "The bot's answer to the command was not one Slack would show.",
    "invalid_response_action": "The bot's answer to the form was not one Slack would accept.",
}


class ChatActs:
    """The actions that happen in Slack. ``user`` is a name or an id and is alice where it is not given."""

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack

    def table(self) -> dict[str, Callable[[Body], Done]]:
        return {
            "say": self.say,
            "press": self.press,
            "press_view": self.press_view,
            "submit_view": self.submit_view,
            "close_view": self.close_view,
            "shortcut": self.shortcut,
            "react": self.react,
            "pin": self.pin,
            "edit": self.edit,
            "delete": self.delete,
            "open_home": self.open_home,
        }

    def say(self, body: Body) -> Done:
        """``text`` in ``channel``: a slash command when it starts with one, else a message, in ``thread_ts`` if given."""
        channel, user, text = _need(body, "channel"), _user(body), _need(body, "text")
        if re.match(r"/[a-z]", text):
            return self._slash(channel, user, text)
        done = self.slack.say(channel, user, self._with_ids(text), _maybe(body, "thread_ts"))
        return _checked(done)

    def _slash(self, channel: str, user: str, text: str) -> Done:
        command, _, rest = text.partition(" ")
        done = self.slack.slash(channel, user, command, rest)
        own = self.slack.people.command
        if done.get("error") == "unknown_command" and command != own:
            # The app has one command that takes every subject: /incident list is /captain incident list.
            command, rest = own, f"{command[1:]} {rest}".strip()
            done = self.slack.slash(channel, user, command, rest)
        return _checked(done) | {"command": f"{command} {rest}".strip()}

    def press(self, body: Body) -> Done:
        """Press ``button`` (action_id or label) of ``message`` (ts, "last", or a piece of its text).

        ``selected`` for what is chosen rather than pressed: an option's value or label, an id, a date, or a list of them.
        """
        user, message, button = _user(body), _need(body, "message"), _need(body, "button")
        rows = list(self._candidates(user, _maybe(body, "channel")))
        if re.fullmatch(r"\d+\.\d+", message):
            rows = [row for row in rows if row["ts"] == message]
        elif message != "last":
            rows = [row for row in rows if message.lower() in _words(row).lower()]
        if not rows:
            raise Refused(f"No message that {user} can see matches '{message}'.")
        for row in rows:
            for block, part in _elements(row["blocks"]):
                if _is(part, button) and _maybe(body, "block_id") in (None, block.get("block_id")):
                    return self._press(row, block, part, user, body.get("selected"))
        names = sorted({_label(part) for _, part in _elements(rows[0]["blocks"])})
        raise Refused(
            f"No such message has a '{button}'. The newest one has: {', '.join(names) or 'nothing to press'}."
        )

    def _press(self, row: Mapping[str, Any], block: Body, part: Body, user: str, selected: Any) -> Done:
        done = self.slack.press(
            row["channel"],
            row["ts"],
            str(part["action_id"]),
            user,
            block_id=block.get("block_id"),
            selected=_option_values(part, selected),
        )
        return _checked(done) | {"message": row["ts"], "channel": row["channel_name"], "pressed": _label(part)}

    def press_view(self, body: Body) -> Done:
        """The same in a modal or on the home tab ``view_id``; ``values`` is what its inputs hold by then."""
        return _checked(
            self.slack.press_view(
                _need(body, "view_id"),
                _need(body, "action_id"),
                _user(body),
                block_id=_maybe(body, "block_id"),
                selected=body.get("selected"),
                values=_values(body),
            )
        )

    def submit_view(self, body: Body) -> Done:
        """Submit ``view_id`` with ``values``; ``errors`` (block_id to words) in the answer when an input is refused."""
        done = self.slack.submit_view(_need(body, "view_id"), _user(body), _values(body))
        return done if done.get("errors") else _checked(done)

    def close_view(self, body: Body) -> Done:
        return _checked(self.slack.close_view(_need(body, "view_id"), _user(body)))

    def shortcut(self, body: Body) -> Done:
        """``callback_id``; with ``channel`` and ``ts`` it is the shortcut of a message."""
        channel, ts = _maybe(body, "channel"), _maybe(body, "ts")
        return _checked(self.slack.shortcut(_need(body, "callback_id"), _user(body), channel, ts))

    def react(self, body: Body) -> Done:
        channel, ts, name = _need(body, "channel"), _need(body, "ts"), _need(body, "name")
        return _checked(self.slack.react(channel, ts, _user(body), name, remove=bool(body.get("remove"))))

    def pin(self, body: Body) -> Done:
        channel, ts = _need(body, "channel"), _need(body, "ts")
        return _checked(self.slack.pin(channel, ts, _user(body), remove=bool(body.get("remove"))))

    def edit(self, body: Body) -> Done:
        text = self._with_ids(_need(body, "text"))
        return _checked(self.slack.edit(_need(body, "channel"), _need(body, "ts"), _user(body), text))

    def delete(self, body: Body) -> Done:
        return _checked(self.slack.delete(_need(body, "channel"), _need(body, "ts"), _user(body)))

    def open_home(self, body: Body) -> Done:
        return _checked(self.slack.open_home(_user(body)))

    def _candidates(self, user: str, channel: str | None) -> Iterator[dict[str, Any]]:
        """Messages with something to press that a person can see, newest first."""
        state = self.slack.state()
        ids = {row["id"] for row in state["users"] if user in (row["id"], row["name"])}
        for row in reversed(state["messages"]):
            seen = row["ephemeral_to"] is None or row["ephemeral_to"] in ids
            here = channel is None or channel.removeprefix("#") in (row["channel"], row["channel_name"])
            if seen and here and any(True for _ in _elements(row["blocks"])):
                yield row

    def _with_ids(self, text: str) -> str:
        """Slack's own client sends ids: @alice becomes <@U…>, #docs-api becomes <#C…|docs-api>; & < > are escaped."""
        state = self.slack.state()
        people = {row["name"]: f"<@{row['id']}>" for row in state["users"]}
        rooms = {row["name"]: f"<#{row['id']}|{row['name']}>" for row in state["channels"]}
        known = re.findall(r"<(?:[@#][A-Z0-9]+(?:\|[^<>]*)?|https?://[^<>\s]+)>", text)
        for i, token in enumerate(known):
            text = text.replace(token, f"\0{i}\0", 1)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = re.sub(r"(?<![\w@])@([\w.-]*\w)", lambda m: people.get(m[1], m[0]), text)
        text = re.sub(r"(?<![\w#&])#([\w-]*\w)", lambda m: rooms.get(m[1], m[0]), text)
        return re.sub(r"\0(\d+)\0", lambda m: known[int(m[1])], text)


def _checked(done: Done) -> Done:
    if done.get("ok"):
        return done
    code = str(done.get("error"))
    raise Refused(SENTENCES.get(code, f"Slack refuses: {code}."))


def _need(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"'{name}' is missing.")
    return value.strip()


def _maybe(body: Body, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def _user(body: Body) -> str:
    return _maybe(body, "user") or "alice"


def _values(body: Body) -> Mapping[str, Mapping[str, Any]]:
    given = body.get("values") or {}
    if not isinstance(given, dict) or not all(isinstance(row, dict) for row in given.values()):
        raise Refused("'values' must be an object of block_id to an object of action_id to a value.")
    return given


def _elements(blocks: Any) -> Iterator[tuple[Body, Body]]:
    """Every element with an action_id, with its block."""
    for block in blocks or []:
        for part in [*(block.get("elements") or []), block.get("accessory"), block.get("element")]:
            if isinstance(part, dict) and part.get("action_id"):
                yield block, part


def _label(part: Body) -> str:
    shown = part.get("text") or part.get("placeholder") or {}
    return str(shown.get("text") or part["action_id"])


def _is(part: Body, button: str) -> bool:
    plain = re.sub(r":[\w+-]+:", "", _label(part)).strip().lower()
    return button == part["action_id"] or button.strip().lower() in (_label(part).lower(), plain)


def _words(row: Mapping[str, Any]) -> str:
    """Everything a reader sees of a message, for finding it."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "text" and isinstance(inner, str):
                    yield inner
                else:
                    yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)

    return "\n".join([row["text"], *texts(row["blocks"])])


def _option_values(part: Body, selected: Any) -> Any:
    """Labels of options as their values; what is no label passes as it is."""
    groups = [{"options": part.get("options") or []}, *(part.get("option_groups") or [])]
    by_label = {option["text"]["text"]: option["value"] for group in groups for option in group["options"]}
    if isinstance(selected, str):
        return by_label.get(selected, selected)
    if isinstance(selected, list):
        return [by_label.get(one, one) if isinstance(one, str) else one for one in selected]
    return selected
