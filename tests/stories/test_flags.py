"""Whatever is switched on is switched off again: in time, early, refused, late, changed by somebody else meanwhile."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from ground.town import BYPASS, Town, user
from ground.waiting import until
from kubernetes import client

from bot import audit
from bot.effects import EFFECTS
from bot.integrations.kubernetes import KubernetesSettings, ObjectRef
from bot.integrations.kubernetes.client import KubernetesClient
from handlers.flags.rules import Mark
from handlers.flags.table import FLAGS

REF = ObjectRef("v1", "configmaps", BYPASS["name"], BYPASS["namespace"])
MERGE = "application/merge-patch+json"


@pytest.fixture
def town(town: Town) -> Town:
    town.has_a_flag()
    town.config["kubernetes"]["timeout"] = 0.5
    return town


@pytest.fixture
def by_hand(town: Town):
    """``by_hand(key=value)`` changes the ConfigMap as a person does with kubectl; None takes the key away."""
    configuration = client.Configuration()
    configuration.host = f"{town.served.url}/kubernetes"
    api = client.ApiClient(configuration)

    def change(**data):
        client.CoreV1Api(api).patch_namespaced_config_map(
            BYPASS["name"], BYPASS["namespace"], {"data": data}, field_manager="kubectl-edit", _content_type=MERGE
        )

    yield change
    api.close()


@pytest.fixture
def cluster(town: Town):
    """The bot's own client, for requests that come late."""
    made = KubernetesClient(KubernetesSettings(url=f"{town.served.url}/kubernetes", timeout=2))
    yield made
    made.close()


def on(bot, line: str = "--for 30m", name: str = "carol") -> dict:
    return bot.ask(f"flag on gateway-bypass {line}", name)


def nothing_is_left(town: Town, value: str = "false") -> None:
    """Asked of the cluster, not of our tables."""
    assert town.bypass() == value
    assert town.flags()["annotations"] == {}
    assert town.flags()["data"]["rate-limit"] == "100"


def over(town: Town, bot, value: str = "false", timeout: float = 20) -> None:
    until(lambda: bot.ask("flag list")["data"] == [], timeout=timeout, message="it is not over")
    nothing_is_left(town, value)


def message(town: Town) -> dict:
    """The one message of the switching-on."""
    found = [m for m in town.messages() if m.get("thread_ts") in (None, m["ts"]) and "By hand" not in town.shown(m)]
    assert len(found) == 1
    return found[0]


def alarms(town: Town) -> list[dict]:
    return [m for m in town.messages() if "By hand" in town.shown(m)]


def tick(bot, n=itertools.count()) -> None:  # noqa: B008 - each tick has its own minute
    bot.captain.engine.ticked("flags", dt.datetime(2030, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=next(n)))


def state(bot, column: str):
    with bot.captain.store.read() as c:
        return c.execute(sa.select(FLAGS().c[column]).order_by(FLAGS().c.id.desc()).limit(1)).scalar()


# ---- as it should be ---------------------------------------------------------------------------------------------------


def test_it_is_on_for_its_time_and_then_as_it_was(town: Town):
    bot = town.start()
    told = on(bot, "--for 6s the sidecar is slow", "alice")
    assert "is being switched on until" in told["text"]
    until(lambda: town.bypass() == "true")
    mark = json.loads(town.flags()["annotations"]["release-captain/flag.gateway-bypass"])
    assert (mark["by"], mark["back"]) == ("alice", "false")
    until(lambda: "is on until" in town.shown(message(town)))
    assert "alice" in town.shown(message(town))
    assert "the sidecar is slow" in town.shown(message(town))
    assert bot.metric("captain_flags_on") == 1
    assert "alice: the sidecar is slow" in bot.ask("flag list")["text"]
    over(town, bot)
    until(lambda: "is off since" in message(town)["text"])
    assert "switched off by the clock" in message(town)["text"]
    assert "actions" not in town.shown(message(town))
    assert bot.metric("captain_flags_on") == 0
    assert len(town.messages()) == 1, "one message, edited in place"
    with bot.captain.store.read() as c:
        actions = c.execute(sa.select(audit.AuditEntry.__table__.c.action)).scalars().all()
        assert audit.verify(c) == (3, "")
    assert actions == ["flag on", "flag is on", "flag is off"]


def test_a_key_that_was_not_there_is_not_there_afterwards(town: Town, by_hand):
    by_hand(bypass=None)
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: town.bypass() == "true")
    over(town, bot, value="")
    assert "bypass" not in town.flags()["data"]


def test_a_flag_with_an_off_value_goes_to_that(town: Town):
    town.config["flags"]["gateway-bypass"]["off"] = "no"
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: town.bypass() == "true")
    over(town, bot, value="no")
    on(bot, "--for 6s")
    until(lambda: town.bypass() == "true")
    over(town, bot, value="no")


def test_two_flags_in_one_object_do_not_touch_each_other(town: Town):
    town.config["flags"]["gateway-banner"] = {
        "service": "gateway", "object": {"kind": "configmap", **BYPASS, "key": "banner"}, "on": "slow today",
    }  # fmt: skip
    bot = town.start()
    for _ in range(2):
        on(bot)
        bot.ask("flag on gateway-banner --for 30m")
        until(lambda: (town.bypass(), town.flags()["data"].get("banner")) == ("true", "slow today"))
        bot.ask("flag off gateway-bypass")
        until(lambda: town.bypass() == "false")
        assert town.flags()["data"]["banner"] == "slow today"
        bot.ask("flag off gateway-banner")
        over(town, bot)
        assert town.flags()["data"] == {"bypass": "false", "rate-limit": "100"}


def test_the_undo_is_owed_before_the_cluster_hears_of_it(town: Town):
    """At the instant a request to switch it on arrives, its undo stands in the ledger."""
    bot = town.start()
    owed = []

    def hear(call):
        if call.method == "PATCH":
            with bot.captain.store.read() as c:
                owed.append(c.execute(sa.select(EFFECTS().c.state).where(EFFECTS().c.kind == "flag-off")).scalar())

    town.calls.heard.append(hear)
    on(bot)
    until(lambda: owed)
    assert owed == ["owed"]
    assert town.bypass() == "true"


def test_what_is_on_is_no_work_left_undone(town: Town):
    """The undo that waits for its hour is not counted among what should have been done."""
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    assert bot.metric('captain_effects_owed{lane="kubernetes"}') == 0
    assert bot.metric("captain_flags_overdue") == 0


# ---- people ------------------------------------------------------------------------------------------------------------


def test_the_buttons_extend_it_and_switch_it_off(town: Town):
    town.config["flags"]["gateway-bypass"]["longest"] = 7200
    bot = town.start()
    alice = user(town, "alice")
    town.slack.slash("#gateway", alice, "/flag", "on gateway-bypass --for 30m deploy")
    until(lambda: "flag extend" in town.shown(message(town)) and town.bypass() == "true")
    until(lambda: state(bot, "status") == "on")
    before = state(bot, "until")
    press = {"channel": message(town)["channel"], "ts": message(town)["ts"], "user": alice}
    town.slack.press(press["channel"], press["ts"], "flag extend", alice)
    until(lambda: state(bot, "until") == before + 1800)
    longer = dt.datetime.fromtimestamp(int(before + 1800), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    until(lambda: longer in json.dumps(town.flags()["annotations"]), message="the mark does not know the new end")
    town.slack.press(press["channel"], press["ts"], "flag off", alice)
    over(town, bot)
    until(lambda: "switched off by alice" in message(town)["text"])


@pytest.mark.slow
def test_it_goes_off_at_the_end_it_was_extended_to_and_not_before(town: Town):
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: state(bot, "status") == "on")
    first = state(bot, "until")
    assert "is on until" in bot.ask("flag extend gateway-bypass --for 5s")["text"]
    until(lambda: dt.datetime.now(dt.UTC).timestamp() > first + 1, timeout=20)
    assert town.bypass() == "true"
    over(town, bot)
    assert state(bot, "off_at") >= first + 5


def test_a_button_of_an_earlier_time_does_not_end_a_later_one(town: Town):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    on(bot)
    until(lambda: state(bot, "status") == "on")
    assert "of an earlier time" in bot.ask("flag off gateway-bypass#1")["error"]
    assert town.bypass() == "true"
    assert "switched off by carol" in bot.ask("flag off gateway-bypass#2")["text"]
    over(town, bot)


def test_what_cannot_be_done_is_answered_with_what_to_do(town: Town):
    bot = town.start()
    for line, said in (
        ("flag on gateway-bypas --for 30m", "Did you mean 'gateway-bypass'?"),
        ("flag on gateway-bypass", "--for is missing. Usage: `flag on NAME REASON… --for DURATION`"),
        ("flag on gateway-bypass --for 30", "wants a time such as 30m"),
        ("flag on gateway-bypass --for 2h", "may be on for 1 h 0 min at most (flags.gateway-bypass.longest"),
        ("flag on gateway-bypass --for 1s", "must be 3 s at least"),
        ("flag off gateway-bypass", "has never been switched on"),
        ("flag extend nothing --for 5m", "I know no flag 'nothing'"),
    ):
        assert said in bot.ask(line)["error"], line
    on(bot, "--for 50m", "alice")
    until(lambda: state(bot, "status") == "on")
    assert "asked by alice" in on(bot)["error"]
    assert "may have at most 1 h" in bot.ask("flag extend gateway-bypass --for 30m")["error"]
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    assert "Nothing was changed" in bot.ask("flag off gateway-bypass")["text"]
    assert "nothing to extend" in bot.ask("flag extend gateway-bypass --for 5m")["error"]


def test_the_home_tab_shows_what_is_switched_on(town: Town):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    town.slack.open_home(user(town, "carol"))
    home = until(lambda: town.slack.state()["homes"].get(user(town, "carol")))
    assert "gateway-bypass* is on until" in str(home)


# ---- not applied -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda town, by_hand: by_hand(bypass="true"), "already, and not by me"),
        (lambda town, by_hand: town.config["flags"]["gateway-bypass"]["object"].update(name="gone"), "does not exist; create it"),
        (lambda town, by_hand: by_hand(bypass="x" * 1001), "that is no flag"),
    ],
    ids=["on already", "no such object", "no flag"],
)  # fmt: skip
def test_what_is_not_switched_on_is_said_to_who_asked(town: Town, by_hand, change, why):
    change(town, by_hand)
    bot = town.start()
    before = town.flags()["data"]
    alice = user(town, "alice")
    town.slack.slash("#gateway", alice, "/flag", "on gateway-bypass --for 30m")
    until(lambda: any(why in text and f"<@{alice}>" in text for text in town.thread(message(town))))
    until(lambda: "was not switched on" in message(town)["text"])
    assert town.flags()["data"] == before
    assert [
        c.method for c in town.calls.calls if c.service == "kubernetes" and c.method != "GET" and "gateway" in c.body
    ] == []
    assert why in bot.ask("flag list")["text"]


def test_what_kubernetes_takes_too_late_is_not_switched_on_at_all(town: Town):
    """It hangs until nothing that is switched on could be switched off in time any more."""
    bot = town.start()
    town.kubernetes.faults.breaks("hang")
    on(bot, "--for 4s")
    until(lambda: "Kubernetes did not answer" in town.shown(message(town)))
    until(lambda: state(bot, "status") == "not_applied", timeout=15)
    town.kubernetes.faults.mend()
    assert "too late to be undone in time" in bot.ask("flag list")["text"]
    until(lambda: any("too late" in text for text in town.thread(message(town))))
    assert not [c for c in town.calls.calls if c.service == "kubernetes" and c.method == "PATCH"]


def test_switched_off_while_the_request_to_switch_it_on_hangs(town: Town):
    bot = town.start()
    seen = []

    def hear(call):
        seen.append(call)
        if len([c for c in seen if c.service == "kubernetes"]) == 2:
            town.kubernetes.faults.breaks("hang", times=1)

    town.calls.heard.append(hear)
    on(bot)
    until(lambda: [c for c in seen if c.service == "kubernetes"][1:] and not town.kubernetes.faults.active())
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    until(lambda: state(bot, "status") == "not_applied")
    until(lambda: "switched off by carol before it was on" in message(town)["text"])


@pytest.mark.parametrize(
    "fault", ["reset", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("late", "500", "429", "503"))]
)
def test_a_request_whose_answer_is_lost_is_looked_at_before_it_is_sent_again(town: Town, fault):
    """Both ways, whatever becomes of the answers."""
    bot = town.start()
    for wanted in ("true", "false"):
        town.kubernetes.faults.breaks(fault, times=2, retry_after=1, delay=1)
        if wanted == "true":
            on(bot)
        else:
            bot.ask("flag off gateway-bypass")
        until(lambda wanted=wanted: town.bypass() == wanted, timeout=20)
        until(lambda wanted=wanted: state(bot, "status") == {"true": "on", "false": "off"}[wanted], timeout=20)
    nothing_is_left(town)


# ---- the cluster is away when it should go off ---------------------------------------------------------------------------


def test_while_the_cluster_is_away_the_channel_is_told_once_and_it_goes_off_when_it_is_back(town: Town):
    town.config["flags"]["gateway-bypass"]["loud_after"] = 1
    town.config["services"]["gateway"]["owners"] = ["@edge-team"]
    bot = town.start()
    alice = user(town, "alice")
    town.slack.slash("#gateway", alice, "/flag", "on gateway-bypass --for 6s")
    until(lambda: state(bot, "status") == "on")
    town.kubernetes.faults.breaks("500")
    (alarm,) = until(lambda: alarms(town), timeout=20)
    assert "STILL ON" in alarm["text"]
    shown = town.shown(alarm)
    for said in (
        "Kubernetes could not",
        "By hand: in configmap prod/gateway-flags, key bypass, set it to 'false'",
        f"<@{alice}>",
        "@edge-team",
    ):
        assert said in shown
    assert bot.metric("captain_flags_overdue") == 1
    assert "STILL ON" in bot.ask("flag list")["text"]
    until(lambda: "STILL ON" in message_at(town, state(bot, "ts")))
    tick(bot)
    town.kubernetes.faults.mend()
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    until(lambda: "is off since" in message_at(town, alarm["ts"]) and "late" in message_at(town, alarm["ts"]))
    assert len([m for m in town.messages() if not m.get("thread_ts")]) == 2, "the message and one alarm"


def message_at(town: Town, ts: str) -> str:
    return next(m["text"] for m in town.messages() if m["ts"] == ts)


@pytest.mark.slow
def test_without_a_hand_it_goes_off_by_itself_when_the_cluster_is_back(town: Town):
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: state(bot, "status") == "on")
    town.kubernetes.faults.breaks("hang")
    until(
        lambda: state(bot, "status") == "turning_off" and "did not answer" in bot.ask("flag list")["text"], timeout=15
    )
    town.kubernetes.faults.mend()
    over(town, bot, timeout=15)


def test_an_undo_that_the_engine_gives_up_is_owed_anew(town: Town):
    """Its patience is 30 days; nothing that is on is given up for that."""
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    t = EFFECTS()
    with bot.captain.store.write() as c:
        c.execute(t.update().where(t.c.kind == "flag-off").values(created_at=t.c.created_at - 31 * 86400))
    town.kubernetes.faults.breaks("500")
    bot.ask("flag off gateway-bypass")

    def undos() -> list[str]:
        with bot.captain.store.read() as c:
            return list(c.execute(sa.select(t.c.state).where(t.c.kind == "flag-off").order_by(t.c.key)).scalars())

    until(lambda: undos() == ["gave_up", "owed"])
    assert town.bypass() == "true"
    town.kubernetes.faults.mend()
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    assert undos() == ["gave_up", "done"]


def test_a_flag_that_captain_yml_no_longer_names_goes_off_all_the_same(town: Town):
    bot = town.start()
    on(bot, "--for 7s")
    until(lambda: state(bot, "status") == "on")
    bot.stop()
    town.bots.clear()
    town.config["flags"] = {}
    again = town.start()
    assert "gateway-bypass" in again.ask("flag list")["text"]
    over(town, again)


def test_what_kubernetes_forbids_is_no_reason_to_give_an_undo_up(town: Town):
    """A role that is taken away and given back: it goes off when it may."""
    role = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]}
    town.kubernetes.add_token("t", "captain")
    put_role(town, [role], "captain")
    file = kubeconfig(town, "t")
    town.config["kubernetes"] = {"kubeconfig": str(file), "context": "x", "timeout": 0.5}
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: state(bot, "status") == "on")
    set_rules(town, [{**role, "verbs": ["get"]}])
    until(lambda: "cannot patch resource" in bot.ask("flag list")["text"], timeout=15)
    assert town.bypass() == "true"
    set_rules(town, [role])
    over(town, bot, timeout=15)


def put_role(town: Town, rules: list[dict], person: str) -> None:
    meta = {"name": "captain", "namespace": BYPASS["namespace"]}
    api = "rbac.authorization.k8s.io"
    town.kubernetes.put({"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    binding = {"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": meta}
    ref = {"apiGroup": api, "kind": "Role", "name": "captain"}
    town.kubernetes.put({**binding, "roleRef": ref, "subjects": [{"apiGroup": api, "kind": "User", "name": person}]})


def set_rules(town: Town, rules: list[dict]) -> None:
    configuration = client.Configuration()
    configuration.host = f"{town.served.url}/kubernetes"
    with client.ApiClient(configuration) as api:
        client.RbacAuthorizationV1Api(api).patch_namespaced_role(
            "captain", BYPASS["namespace"], {"rules": rules}, _content_type=MERGE
        )


def kubeconfig(town: Town, token: str) -> Path:
    cluster = {"name": "c", "cluster": {"server": f"{town.served.url}/kubernetes"}}
    held = {"name": "u", "user": {"token": token}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    file = town.folder / "kubeconfig"
    file.write_text(yaml.safe_dump({"clusters": [cluster], "users": [held], "contexts": [context]}))
    return file


def test_the_role_we_ship_is_enough(town: Town):
    shipped = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "watched" / "role.yaml"
    role = next(one for one in yaml.safe_load_all(shipped.read_text()) if one["kind"] == "Role")
    town.kubernetes.add_token("t", "captain")
    put_role(town, role["rules"], "captain")
    town.config["kubernetes"] = {"kubeconfig": str(kubeconfig(town, "t")), "context": "x", "timeout": 0.5}
    bot = town.start()
    on(bot)
    until(lambda: town.bypass() == "true")
    bot.ask("flag off gateway-bypass")
    over(town, bot)


# ---- late requests, other hands, lost databases --------------------------------------------------------------------------


def late(town: Town, bot, cluster, **changes) -> None:
    """Do to the object what a request to switch it on would do that nothing could refuse."""
    with bot.captain.store.read() as c:
        row = c.execute(sa.select(FLAGS()).order_by(FLAGS().c.id.desc()).limit(1)).one()
    told = {"uid": row.uid, "until": row.until, "back": "false", "by": "carol"} | changes
    meta = {"annotations": {"release-captain/flag.gateway-bypass": Mark(**told).text()}}
    manager = next(m for m in town.flags()["managers"] if m.startswith("release-captain-flag")) if row.on_at else ""
    part = manager.removeprefix("release-captain-") or "flag.gateway-bypass.02d1a40a"
    cluster.apply(REF, {"kind": "ConfigMap", "metadata": meta, "data": {"bypass": "true"}}, force=True, part=part)
    assert town.bypass() == "true"


def test_what_comes_on_after_its_end_is_seen_by_the_tick_and_switched_off_again(town: Town, cluster):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    late(town, bot, cluster)

    def healed():
        tick(bot)
        return town.bypass() == "false"

    until(healed, timeout=15, every=0.3)
    over(town, bot)
    until(lambda: any("came on again after its end" in text for text in town.thread(message(town))))


def test_a_mark_that_the_database_does_not_know_is_undone_at_its_time(town: Town, cluster):
    """As after a database was restored from before the switching-on."""
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    bot.ask("flag off gateway-bypass")
    over(town, bot)
    soon = dt.datetime.now(dt.UTC).timestamp() + 4
    late(town, bot, cluster, uid="fromanotherlife", until=soon, by="dave")
    tick(bot)
    until(lambda: "asked by dave" in bot.ask("flag list")["text"])
    assert "gateway-bypass carries" not in bot.ask("flag list")["text"]
    over(town, bot, timeout=15)


def test_it_stays_as_somebody_else_has_set_it_and_the_channel_hears_of_it(town: Town, by_hand):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    by_hand(bypass="maybe")
    tick(bot)
    over(town, bot, value="maybe")
    until(lambda: any("somebody else set *gateway-bypass* to 'maybe'" in text for text in town.thread(message(town))))
    assert state(bot, "off_by") == "somebody else"


def test_an_undo_leaves_what_somebody_else_has_set(town: Town, by_hand):
    bot = town.start()
    on(bot, "--for 6s")
    until(lambda: state(bot, "status") == "on")
    by_hand(bypass="maybe")
    over(town, bot, value="maybe")
    until(lambda: any("was at 'maybe', which is not my doing" in text for text in town.thread(message(town))))


def test_an_extension_does_not_switch_on_again_what_somebody_has_switched_off(town: Town, by_hand):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    by_hand(bypass="false")
    bot.ask("flag extend gateway-bypass --for 5m")
    over(town, bot)


def test_another_who_asks_for_the_same_value_keeps_it_and_is_named(town: Town, cluster):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    cluster.apply(REF, {"kind": "ConfigMap", "data": {"bypass": "true"}}, part="argo")
    bot.ask("flag off gateway-bypass")
    over(town, bot, value="true")
    until(lambda: any("release-captain-argo asks for that too" in text for text in town.thread(message(town))))


def test_an_object_that_was_deleted_is_not_made_anew(town: Town, by_hand):
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    configuration = client.Configuration()
    configuration.host = f"{town.served.url}/kubernetes"
    with client.ApiClient(configuration) as api:
        client.CoreV1Api(api).delete_namespaced_config_map(BYPASS["name"], BYPASS["namespace"])
    bot.ask("flag off gateway-bypass")
    until(lambda: bot.ask("flag list")["data"] == [])
    assert not [o for o in town.kubernetes.state()["objects"] if o["name"] == BYPASS["name"]]


def test_where_nobody_knows_any_more_who_owns_what_it_still_goes_off(town: Town, by_hand):
    """Tools that copy objects back lose the field managers; an apply alone would then take nothing away."""
    by_hand(bypass=None)
    bot = town.start()
    on(bot)
    until(lambda: state(bot, "status") == "on")
    store = town.kubernetes.store
    with store.lock:
        record = store.get(("", "configmaps"), (BYPASS["namespace"], BYPASS["name"]))
        store.put(("", "configmaps"), record.body, ())
    bot.ask("flag off gateway-bypass")
    over(town, bot, value="")
