"""The clients a runbook's kinds look with, made of those sections of captain.yml that they need and of no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, create_model

from bot import config
from bot.errors import ConfigError, GiveUp
from bot.integrations import connect
from bot.integrations.alertmanager import AlertmanagerSettings
from bot.integrations.jira import JiraSettings
from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.pagerduty import PagerDutySettings
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.slack import SlackSettings
from bot.runbook_find import OwnRunbooks
from runbooks import Looks, Runbook
from runbooks.secret_refs import Secrets, is_reference

SECTIONS: Mapping[str, type[BaseModel]] = {
    "prometheus": PrometheusSettings,
    "kubernetes": KubernetesSettings,
    "slack": SlackSettings,
    "pagerduty": PagerDutySettings,
    "jira": JiraSettings,
    "alertmanager": AlertmanagerSettings,
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "promql": ("prometheus",),
    "spiffe": ("prometheus",),
    "kubernetes": ("kubernetes",),
}
"""A kind to the sections of captain.yml it looks with."""
BUILD: Mapping[str, Callable[[Any], Any]] = {
    "prometheus": connect.prometheus,
    "kubernetes": connect.kubernetes,
    "slack": connect.slack,
    "pagerduty": connect.pagerduty,
    "jira": connect.jira,
    "alertmanager": connect.alertmanager,
}
SECRET = "secret:"  # noqa: S105 - how a reference into the cluster begins


class _Without:
    """Stands for a client that cannot be made on this machine: whoever asks it is told why, and the other checks look."""

    timeout = 0.0

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def refuse(*_args: object, **_more: object) -> NoReturn:
            raise GiveUp(self._reason)

        return refuse


def needed(books: Iterable[Runbook]) -> set[str]:
    """The sections of captain.yml that the checks of some runbooks look with."""
    found: set[str] = set()
    for book in books:
        for check in book.checks:
            found.update(NEEDS.get(check.kind, ()))
            if check.kind == "reachable":
                system = str(check.spec.get("system"))
                found.update({system} if system in SECTIONS else SECTIONS)
        if any(is_reference(text) and SECRET in text for text in _texts(book)):
            found.add("kubernetes")
    return found


def looks(sections: set[str], config_file: Path, environ: Mapping[str, str], *, must_exist: bool) -> Looks:
    """The clients of the sections that captain.yml has; none when there is no captain.yml.

    What captain.yml does not configure is None, and its kinds say what to do. Raises ConfigError for what is wrong in
    these sections; the others are not read, so that their secrets need not be there.
    """
    if not (must_exist or config_file.exists()):
        return Looks()
    fields: dict[str, Any] = {name: (SECTIONS[name] | None, None) for name in sections}
    fields["runbooks"] = (OwnRunbooks, OwnRunbooks())
    model = create_model("Sections", __config__=ConfigDict(frozen=True, extra="ignore"), **fields)
    made = config.load(config_file, model, environ)
    clients: dict[str, Any] = {}
    for name, build in BUILD.items():
        try:
            clients[name] = build(getattr(made, name, None))
        except GiveUp as problem:
            clients[name] = _Without(problem.reason)
    try:
        allow = tuple(ip_network(one) for one in getattr(made, "runbooks", OwnRunbooks()).allow_addresses)
    except ValueError as problem:
        raise ConfigError(f"{config_file}: runbooks.allow_addresses: {problem}") from problem
    pings = {name: client.ping for name, client in clients.items() if client is not None}
    return Looks(metrics=clients["prometheus"], cluster=clients["kubernetes"], pings=pings, allow=allow)


def mask(books: Iterable[Runbook], environ: Mapping[str, str]) -> Callable[[str], str]:
    """Takes out of a text every secret that the runbooks refer to and that can be had on this machine."""
    secrets = Secrets(environ)
    for text in (text for book in books for text in _texts(book)):
        if is_reference(text):
            try:
                secrets.resolve(text)
            except ValueError:
                continue  # The check that needs it says so.
    return secrets.mask


def _texts(book: Runbook) -> Iterator[str]:
    """Every text in which a reference may stand."""
    yield from _within([check.spec for check in book.checks])
    yield from _within(book.env)
    yield from _within([scope.env for check in book.checks for scope in check.scopes])


def _within(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _within(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _within(inner)
