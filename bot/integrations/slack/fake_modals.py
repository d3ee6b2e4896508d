"""What the people of the stand-in's workspace do in modals and on the home tab: fill in, press, submit, close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.integrations.slack.fake_api import Ask, SlackError
from bot.integrations.slack.fake_delivery import INTERACTIVE, Ack
from bot.integrations.slack.fake_inputs import action_of, find_element, missing, value_of
from bot.integrations.slack.fake_people import Done, NotPossible, People
from bot.integrations.slack.fake_views import STACK, checked_view, put_view, replace_body, stack_of, view_json
from bot.integrations.slack.fake_world import View

Values = Mapping[str, Mapping[str, Any]]
"""block_id, then action_id, then what was entered: text, an option's value, an id, a date, a list of them, or Slack's shape."""


class ModalPeople(People):
    """The second half of what persons do."""

    def _open(self, view_id: str) -> View:
        found = self.world.views.get(view_id) or next((h for h in self.world.homes.values() if h.id == view_id), None)
        if found is None:
            raise NotPossible("view_not_found")
        return found

    def _fill(self, view: View, values: Values) -> None:
        for block_id, actions in values.items():
            for action_id, given in actions.items():
                found = find_element(view.body["blocks"], action_id, block_id)
                if found is None or action_id not in view.inputs.get(block_id, {}):
                    raise NotPossible("element_not_found")
                value = value_of(found[1], given)
                if value is None:
                    raise NotPossible("option_not_offered")
                view.inputs[block_id][action_id] = value

    def press_view(
        self,
        view_id: str,
        action_id: str,
        user: str,
        *,
        block_id: str | None = None,
        value: Any = None,
        selected: Any = None,
        values: Values | None = None,
    ) -> Done:
        """Press or choose in a modal or on the home tab; ``values`` is what else stands in its inputs by then."""
        world = self.world
        with world.changing():
            person = self._who(user)
            view = self._open(view_id)
            if view.user != person.id:
                raise NotPossible("view_not_found")
            self._fill(view, values or {})
            found = find_element(view.body["blocks"], action_id, block_id)
            if found is None:
                raise NotPossible("element_not_found")
            block, part = found
            made = action_of(part, block["block_id"], value if selected is None else selected, world.next_ts())
            if made is None:
                raise NotPossible("option_not_offered")
            action, now = made
            if now is not None:
                view.inputs.setdefault(block["block_id"], {})[action_id] = now
            world.touch()
            if block["type"] == "input" and not block.get("dispatch_action"):
                return {"ok": True, "action": None}
            payload = self.interaction("block_actions", person) | {
                "container": {"type": "view", "view_id": view.id},
                "trigger_id": world.new_trigger(person.id, view.id),
                "view": view_json(world, view),
                "actions": [action],
            }
        ack = self.delivery.send(INTERACTIVE, payload)
        return {"ok": not ack.error, "action": action} | ({"error": ack.error} if ack.error else {})

    def submit_view(self, view_id: str, user: str, values: Values | None = None) -> Done:
        """Submit a modal. Not ok with ``errors`` (block_id to words) when Slack or the app refuses an input.

        ``response_action`` is what the app answered: errors, update, push, clear, or empty for "close this one".
        ``view_id`` in the answer is the modal the person sees then, if any.
        """
        world = self.world
        with world.changing():
            person = self._who(user)
            view = world.views.get(view_id)
            if view is None or view.user != person.id:
                raise NotPossible("view_not_found")
            if not view.body.get("submit"):
                raise NotPossible("view_has_no_submit")
            self._fill(view, values or {})
            refused = missing(view.body["blocks"], view.inputs)
            if refused:
                return {"ok": False, "error": "invalid_input", "errors": refused, "view_id": view.id}
            payload = self.interaction("view_submission", person) | {
                "trigger_id": world.new_trigger(person.id, view.id),
                "view": view_json(world, view),
                "response_urls": [],
            }
        ack = self.delivery.send(INTERACTIVE, payload)
        if ack.error:
            return {"ok": False, "error": ack.error, "view_id": view_id}
        with world.changing():
            return self._after_submit(view, ack)

    def _after_submit(self, view: View, ack: Ack) -> Done:
        """Do what the app answered to a submission."""
        world = self.world
        action = str(ack.payload.get("response_action") or "")
        told: Done = {"ok": True, "response_action": action}
        if view.id not in world.views:  # The app closed or replaced it meanwhile.
            return told | {"view_id": None}
        if action == "errors":
            return told | _refusal(view, ack.payload.get("errors"))
        if action in ("update", "push"):
            return told | self._next_view(view, action, ack.payload.get("view"))
        if action not in ("", "clear"):
            return {"ok": False, "error": "invalid_response_action", "view_id": view.id}
        for gone in stack_of(world, view.user) if action == "clear" else [view]:
            del world.views[gone.id]
        world.touch()
        left = stack_of(world, view.user)
        return told | {"view_id": left[-1].id if left else None}

    def _next_view(self, view: View, action: str, asked: Any) -> Done:
        world = self.world
        if action == "push" and len(stack_of(world, view.user)) >= STACK:
            return {"ok": False, "error": "invalid_response_action", "why": "push_limit_reached", "view_id": view.id}
        try:
            body = checked_view(Ask({"view": asked}), "modal")
            if action == "push":
                return {"view_id": put_view(world, view.user, body, below=view).id}
        except SlackError as no:
            return {"ok": False, "error": "invalid_response_action", "why": no.code, **no.more, "view_id": view.id}
        replace_body(world, view, body)
        return {"view_id": view.id}

    def close_view(self, view_id: str, user: str) -> Done:
        """Close a modal; the app hears of it when the modal asked for that."""
        world = self.world
        with world.changing():
            person = self._who(user)
            view = world.views.get(view_id)
            if view is None or view.user != person.id:
                raise NotPossible("view_not_found")
            cleared = bool(view.body.get("clear_on_close"))
            closed = stack_of(world, person.id) if cleared else [view]
            payloads = [
                self.interaction("view_closed", person) | {"view": view_json(world, one), "is_cleared": cleared}
                for one in closed
                if one.body.get("notify_on_close")
            ]
            for one in closed:
                del world.views[one.id]
            world.touch()
        errors = [ack.error for ack in (self.delivery.send(INTERACTIVE, payload) for payload in payloads) if ack.error]
        return {"ok": not errors} | ({"error": errors[0]} if errors else {})

    def open_home(self, user: str) -> Done:
        """Look at the app's home tab; ``view`` is what stands there now, before the app has answered the event."""
        world = self.world
        with world.changing():
            person = self._who(user)
            channel = world.direct(person.id)
            home = world.homes.get(person.id)
            shown = view_json(world, home) if home else None
            stamp = world.next_ts()
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": person.id,
            "channel": channel.id,
            "tab": "home",
            "event_ts": stamp,
        }
        self.emit(event | ({"view": shown} if shown else {}))
        return {"ok": True, "view": shown}


def _refusal(view: View, errors: Any) -> Done:
    """The app's words for inputs; Slack takes them for the view's own input blocks only."""
    inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        return {"ok": False, "error": "invalid_response_action", "view_id": view.id}
    return {"ok": False, "error": "errors", "errors": errors, "view_id": view.id}
