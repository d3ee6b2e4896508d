"""Whatever order Slack's events come in, and however often, the timeline ends as the messages are."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

import pytest
import requests
import sqlalchemy as sa
from ground.town import Bot, Town, channel
from ground.waiting import until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.effects import EFFECTS, UNSETTLED, State
from bot.inbox import INBOX
from bot.standin import serve
from handlers.incidents.table import TIMELINE
from handlers.timeline.rules import DELETED

PEOPLE = ("alice", "bob", "carol")
DEEDS = st.tuples(
    st.sampled_from(["mark", "mark", "unmark", "pin", "unpin", "edit", "delete"]),
    st.integers(0, 1),
    st.sampled_from(PEOPLE),
)


@dataclass
class Network:
    """Stands between Slack and the bot: takes each event, and brings them later, in an order of its own."""

    bot: Bot = field(repr=False)
    town: Town = field(repr=False)
    held: list[dict] = field(default_factory=list, repr=False)

    async def take(self, request: Request) -> Response:
        self.held.append(json.loads(await request.body()))
        return Response(status_code=200)

    def bring(self, most: int, rng: random.Random) -> None:
        """Bring some of what is held, mixed, some of it twice: as a retry, or as if it had happened again."""
        assert self.town.slack.settled()
        self.held.sort(key=lambda event: event["event"]["event_ts"])
        rng.shuffle(self.held)
        some, self.held = self.held[:most], self.held[most:]
        for event in list(some):
            if rng.random() < 0.3:
                again = event if rng.random() < 0.5 else {**event, "event_id": f"Ev{rng.getrandbits(40)}"}
                some.insert(rng.randrange(len(some) + 1), again)
        for event in some:
            body = json.dumps(event)
            headers = self.town.slack.delivery.signed(body) | {"content-type": "application/json"}
            answer = requests.post(f"{self.bot.url}/slack/events", body, headers=headers, timeout=10)
            assert answer.status_code == 200
            if rng.random() < 0.3:
                idle(self.bot)


def idle(bot: Bot) -> None:
    """Wait until every event was decided about and every look has been had."""
    e, i = EFFECTS(), INBOX()
    looks = sa.select(sa.func.count()).select_from(e)
    looks = looks.where(e.c.kind == "mark", e.c.state.in_((State.WAITING.value, *UNSETTLED)))
    undone = sa.select(sa.func.count()).select_from(i).where(i.c.done_at.is_(None))

    def still() -> bool:
        with bot.captain.store.read() as c:
            return c.execute(undone).scalar() == 0 and c.execute(looks).scalar() == 0

    until(still, message="the events are not done")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def network(request, town: Town):
    if request.param == "postgresql":
        town.config["captain"]["database"] = request.getfixturevalue("postgres").url
    bot = town.start()
    made = Network(bot, town)
    served = serve(Starlette(routes=[Route("/slack/events", made.take, methods=["POST"])]))
    bot.ask('incident open sev3 docs-api "p95 up"')
    until(lambda: town.roots())
    town.slack.request_url = f"{served.url}/slack/events"
    yield made
    town.slack.request_url = ""
    served.stop()


def do(town: Town, deed: str, ts: str, who: str, n: int) -> None:
    """What is not possible (a second mark, an edit of what is gone) Slack refuses, and nothing happens."""
    slack, where = town.slack, "#docs-api"
    if deed in ("mark", "unmark"):
        slack.react(where, ts, who, "pushpin", remove=deed == "unmark")
    elif deed in ("pin", "unpin"):
        slack.pin(where, ts, who, remove=deed == "unpin")
    elif deed == "edit":
        slack.edit(where, ts, "bob", f"text {n}")
    else:
        slack.delete(where, ts, "bob")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(DEEDS, min_size=1, max_size=14), st.integers(0, 2**32), st.integers(0, 14))
def test_the_timeline_ends_as_the_messages_are(network: Network, deeds, seed, first):
    town, bot, rng = network.town, network.bot, random.Random(seed)
    network.held.clear()
    root = town.roots()[0]["ts"]
    messages = [town.slack.say("#docs-api", "bob", f"message {n}", root)["ts"] for n in range(2)]
    marked = set()
    for n, (deed, which, who) in enumerate(deeds):
        do(town, deed, messages[which], who, n)
        if deed in ("mark", "pin"):
            marked.add(messages[which])
        if n == first:
            network.bring(rng.randrange(len(deeds) + 2), rng)
    while not town.slack.settled() or network.held:
        network.bring(len(network.held), rng)
    idle(bot)
    t = TIMELINE()
    with bot.captain.store.read() as c:
        rows = c.execute(sa.select(t.c.ts, t.c.text, t.c.at).where(t.c.ts.in_(messages))).all()
    shown = {row.ts: row.text for row in rows}
    assert all(row.at == float(row.ts) for row in rows)
    where = channel(town, "docs-api")
    for ts in messages:
        now = town.slack.world.message(where, ts)
        if now is None:
            # Gone: what it said is gone, too. Its place is left if the bot has seen it marked.
            assert shown.get(ts, DELETED) == DELETED
            assert ts in marked or ts not in shown
        elif "pushpin" in now.reactions or ts in town.slack.world.channels[where].pins:
            assert shown[ts] == now.text
        else:
            assert ts not in shown
