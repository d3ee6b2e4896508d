"""Who may ask for what: roles by Slack user group or e-mail, and the commands that need one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.config import nearest
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Command
from bot.integrations.slack import Chat
from bot.yaml_lines import Place

T = TypeVar("T")
FRESH = 300.0
"""Seconds for which what Slack says of a person or a group is not asked again."""
AGAIN = 15.0
"""Seconds after which a Slack that did not answer is asked again: a list of commands must not wait for it once each."""
SHARED = "cli"
"""The door behind the token that everybody shares: it proves nobody's name."""


class Role(BaseModel):
    """One row of ``permissions.roles``: who has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usergroup: str = Field("", description="a Slack user group's id, S…")
    emails: tuple[str, ...] = Field(
        (), description="e-mail addresses, as Slack profiles and permissions.tokens have them"
    )

    @field_validator("usergroup")
    @classmethod
    def _usergroup(cls, value: str) -> str:
        if value and not (value.startswith("S") and value.isalnum() and value.isupper()):
            raise ValueError("must be a user group's id such as S012AB3CD; Slack shows it in the group's menu")
        return value

    @field_validator("emails")
    @classmethod
    def _emails(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if "@" not in one:
                raise ValueError(f"'{one}' is no e-mail address")
        return tuple(one.lower() for one in value)


class Permissions(BaseModel):
    """The ``permissions:`` section of captain.yml. What ``needs`` does not name is for everybody.

    ``needs``: a command ("flag on") or a subject ("flag") and the roles of which one is needed; the command counts.
    ``sees_private``: the roles that see private incidents they have no part in; nobody, unless it is said.
    ``tokens``: an e-mail address and the token by which the CLI and the API prove it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: Mapping[str, Role] = Field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    sees_private: tuple[str, ...] = ()
    tokens: Mapping[str, SecretStr] = Field(default_factory=dict)

    @field_validator("sees_private", mode="before")
    @classmethod
    def _role_or_roles(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("needs", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: (roles,) if isinstance(roles, str) else roles for name, roles in value.items()}

    def wants(self, command: Command) -> tuple[str, ...]:
        """The roles of which one is needed; empty when it is for everybody."""
        return self.needs.get(command.name, self.needs.get(command.subject, ()))


def misfits(made: Permissions, commands: Sequence[Command], *, slack: bool) -> Iterator[tuple[Place, str]]:
    """Mistakes in ``permissions:`` that its model cannot see. ``slack``: whether there is a Slack to ask."""
    known = sorted({one.name for one in commands} | {one.subject for one in commands})
    for one in made.sees_private:
        yield from _unknown(made, one, ("permissions", "sees_private"))
    for name, roles in made.needs.items():
        if name not in known:
            yield ("permissions", "needs", name), f"is no command and no subject.{nearest(name, known)}"
        for one in roles:
            yield from _unknown(made, one, ("permissions", "needs", name))
        if not roles:
            yield ("permissions", "needs", name), "names no role, so nobody could ask for it; leave it out, or name one"
    for name, role in made.roles.items():
        if not role.usergroup and not role.emails:
            yield ("permissions", "roles", name), "has nobody: give it a usergroup or emails"
        if role.usergroup and not slack:
            yield ("permissions", "roles", name), "has a Slack user group, but there is no slack: section"
    for email in made.tokens:
        if "@" not in email:
            yield ("permissions", "tokens", email), "must be an e-mail address"


def _unknown(made: Permissions, role: str, place: Place) -> Iterator[tuple[Place, str]]:
    if role not in made.roles:
        yield place, f"there is no role '{role}'.{nearest(role, list(made.roles))}"


@dataclass
class Access:
    """Decides who may ask for what. Safe to use from any thread; asks Slack at most once in FRESH s for each thing."""

    permissions: Permissions
    chat: Chat | None
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    _silent: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When Slack did not say, and why not."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, asker: Asker, command: Command) -> None:
        """Raises Refused, saying who may, when the asker may not."""
        wanted = self.permissions.wants(command)
        if not wanted:
            return
        roles = ", ".join(wanted)
        if asker.door == SHARED and not asker.email:
            raise Refused(
                f"`{command.name}` needs the role {roles}, and the token you share with others proves nobody's name. "
                "Use a token of your own: permissions.tokens in captain.yml has them, CAPTAIN_TOKEN carries it."
            )
        if not any(self._has(asker, role) for role in wanted):
            raise Refused(f"`{command.name}` needs the role {roles}, which you do not have. {self._who(wanted)}")

    def may(self, asker: Asker, command: Command) -> bool:
        """Whether help shows it: what cannot be told now is shown."""
        wanted = self.permissions.wants(command)
        try:
            return not wanted or any(self._has(asker, role) for role in wanted)
        except Refused:
            return True

    def sees_private(self, asker: Asker) -> bool:
        """Whether somebody sees every private incident; False when that cannot be told now."""
        try:
            return any(self._has(asker, role) for role in self.permissions.sees_private)
        except Refused:
            return False

    def holds(self, asker: Asker, roles: Sequence[Role]) -> bool:
        """Whether somebody has one of these roles; nobody has one that names nobody. Raises Refused as ``check`` does.

        A role that Slack does not tell, such as one of a group that is gone, does not count against the others.
        """
        untold: list[Refused] = []
        for role in roles:
            try:
                if self._holds(asker, role):
                    return True
            except Refused as e:
                untold.append(e)
        if untold:
            raise untold[0]
        return False

    def email(self, asker: Asker) -> str:
        """The e-mail address that an asker's door proves; empty when there is none, or Slack does not say it now."""
        if asker.door != "slack":
            return asker.email
        try:
            return next(iter(self._asked(asker.id, lambda chat: frozenset({chat.person(asker.id).email.lower()}))), "")
        except Refused:
            return ""

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _has(self, asker: Asker, name: str) -> bool:
        return self._holds(asker, self.permissions.roles[name])

    def _holds(self, asker: Asker, role: Role) -> bool:
        if asker.door == SHARED:
            return asker.email in role.emails
        if role.usergroup and asker.id in self._asked(role.usergroup, lambda chat: chat.usergroup(role.usergroup)):
            return True
        if not role.emails:
            return False
        mine = self._asked(asker.id, lambda chat: frozenset({chat.person(asker.id).email.lower()}))
        return bool(mine & set(role.emails) - {""})

    def _asked(self, key: str, ask: Callable[[Chat], frozenset[str]]) -> frozenset[str]:
        """What Slack says; while it does not answer, what it said last. Raises Refused when it never has."""
        now = self.clock()
        with self._lock:
            at, known = self._kept.get(key, (float("-inf"), frozenset()))
        if now - at < FRESH:
            return known
        if self.chat is None:
            raise Refused("The slack: section is missing in captain.yml, so I cannot tell who you are.")
        silent_at, why = self._silent.get(key, (float("-inf"), ""))
        if now - silent_at >= AGAIN:
            try:
                known = ask(self.chat)
            except (Retry, GiveUp) as e:
                why = e.reason
                with self._lock:
                    self._silent[key] = (now, why)
            else:
                with self._lock:
                    self._kept[key] = (now, known)
                return known
        if at == float("-inf"):
            raise Refused(
                f"I cannot tell whether you may: Slack does not say who you are ({why.rstrip('.')}). Nothing was done. "
                "Try again, or use the command line with a token of your own."
            )
        return known

    def _who(self, wanted: Sequence[str]) -> str:
        """Whom to ask instead."""
        groups = [f"<!subteam^{role.usergroup}>" for name in wanted if (role := self.permissions.roles[name]).usergroup]
        people = [email for name in wanted for email in self.permissions.roles[name].emails]
        return f"Ask one of: {', '.join([*groups, *people[:5]])}."
