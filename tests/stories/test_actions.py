"""What changes something is done by name, by two people where that is wanted, and is undone again whatever happens."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time

import pytest
import requests
import sqlalchemy as sa
from ground.nth import taken, the_nth_call
from ground.town import Town, user
from ground.waiting import until
from kubernetes import client
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bot import audit
from bot.app import build
from bot.effects import EFFECTS
from bot.errors import ConfigError
from bot.integrations.kubernetes import KubernetesSettings, ObjectRef
from bot.integrations.kubernetes.client import KubernetesClient
from bot.standin import serve
from handlers.actions.table import ACTIONS

MERGE = "application/merge-patch+json"
MORE = {
    "title": "More replicas",
    "service": "docs-api",
    "parameters": {"replicas": {"default": "4", "pattern": "[3-9]"}},
    "do": {"scale": {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": "{{ replicas }}"}},
    "undo": "restore",
    "ttl": "6s",
}
RESTART = {
    "service": "docs-api",
    "do": {"restart": {"kind": "deployment", "namespace": "prod", "name": "docs-api"}},
    "undo": {"none": "a restart cannot be taken back"},
    "approval": {"people": ["alice@example.com", "bob@example.com"]},
}


@pytest.fixture
def town(town: Town) -> Town:
    town.config["kubernetes"]["timeout"] = 0.5
    tokens = {"alice@example.com": "alice-token", "bob@example.com": "bob-token", "eve@example.com": "eve-token"}
    town.config["permissions"] = {"tokens": tokens}
    town.config["actions"] = {"more": MORE, "restart": RESTART}
    return town


@pytest.fixture
def by_hand(town: Town):
    """``by_hand(4)`` scales docs-api as a person does with kubectl."""
    configuration = client.Configuration()
    configuration.host = f"{town.served.url}/kubernetes"
    api = client.ApiClient(configuration)

    def change(replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        client.AppsV1Api(api).patch_namespaced_deployment(
            "docs-api", "prod", body, field_manager="kubectl-edit", _content_type=MERGE
        )

    yield change
    api.close()


def ask(bot, line: str, who: str = "") -> dict:
    """Through the CLI's door: with somebody's own token, or the shared one."""
    if not who:
        return bot.ask(line)
    headers = {"authorization": f"Bearer {who}-token"}
    return requests.post(f"{bot.url}/api/command", json={"line": line, "as": who}, headers=headers, timeout=10).json()


def deployment(town: Town) -> dict:
    objects = town.kubernetes.state()["objects"]
    return next(one for one in objects if (one["kind"], one["name"]) == ("Deployment", "docs-api"))


def replicas(town: Town) -> int:
    return deployment(town)["spec"]["replicas"]


def restarted(town: Town) -> str:
    notes = deployment(town)["spec"]["template"]["metadata"].get("annotations") or {}
    return notes.get("kubectl.kubernetes.io/restartedAt", "")


def as_it_was(town: Town) -> None:
    """Asked of the cluster, not of our tables."""
    assert replicas(town) == 2
    assert not any("release-captain" in name for name in deployment(town)["annotations"])


def status(bot, number: int = 1) -> str:
    """How it stands; nothing while what was pressed or said is still on its way."""
    return bot.ask(f"action show ACT-{number}").get("data", {}).get("status", "")


def becomes(bot, wanted: str, number: int = 1, timeout: float = 20) -> dict:
    until(lambda: status(bot, number) == wanted, timeout=timeout, message=f"it does not become {wanted}")
    return bot.ask(f"action show ACT-{number}")["data"]


def message(town: Town) -> dict:
    """The one message of the request."""
    found = [m for m in town.messages() if "ACT-" in m["text"] and m.get("thread_ts") in (None, m["ts"])]
    assert len([m for m in found if "By hand" not in town.shown(m)]) == 1
    return found[0]


def notes(town: Town) -> str:
    return " ".join(m["text"] for m in town.messages())


def deeds(bot) -> list[str]:
    with bot.captain.store.read() as c:
        assert audit.verify(c)[1] == ""
        return c.execute(sa.select(audit.AuditEntry.__table__.c.action)).scalars().all()


# ---- as it should be ---------------------------------------------------------------------------------------------------


def test_it_is_done_for_its_time_and_then_as_it_was(town: Town):
    bot = town.start()
    told = bot.ask('action run more replicas=5 "the queue is long"')
    assert "then it is done" in told["text"]
    until(lambda: replicas(town) == 5)
    until(lambda: "stands until" in town.shown(message(town)))
    assert "spec.replicas: 2 → 5" in town.shown(message(town))
    assert "the queue is long" in town.shown(message(town))
    assert bot.metric("captain_actions_on") == 1
    assert "ACT-1" in bot.ask("action list")["text"]
    becomes(bot, "off")
    as_it_was(town)
    assert bot.metric("captain_actions_on") == 0
    assert deeds(bot) == ["action run", "action done", "action undone"]
    until(lambda: "was undone at" in message(town)["text"])
    assert "by the clock" in message(town)["text"]
    assert "actions" not in [block["type"] for block in message(town)["blocks"]]


def test_a_dry_run_says_exactly_what_would_change_and_changes_nothing(town: Town):
    town.config["actions"]["flush"] = {
        "service": "docs-api", "do": {"command": {"argv": ["flush", "--all", "a b"], "env": {"TOKEN": "env:SECRET"}}},
        "undo": {"none": "a cache fills itself"}, "approval": {"people": "bob@example.com"},
    }  # fmt: skip
    bot = town.start()
    was = deployment(town)
    told = bot.ask("action run more replicas=7 --dry-run")
    assert told["data"]["would"] == ["deployment prod/docs-api:", "  spec.replicas: 2 → 7"]
    assert "nothing was changed" in told["text"]
    assert "restartedAt" in bot.ask("action run restart --dry-run")["text"]
    flush = bot.ask("action run flush --dry-run")
    assert "there is no program flush here" in flush["text"]
    assert flush["data"]["would"] == ["run with TOKEN=env:SECRET, flush --all 'a b'"]
    as_it_was(town)
    assert restarted(town) == ""
    assert bot.ask("action list")["data"] == []
    assert not town.messages()
    assert deployment(town) == was


def test_a_second_person_agrees_by_button_and_never_who_asked(town: Town):
    bot = town.start()
    alice, bob, carol = (user(town, name) for name in ("alice", "bob", "carol"))
    town.slack.slash("#docs-api", alice, "/action", 'run restart "it leaks"')
    until(lambda: "waits for a second person" in message(town)["text"])
    assert restarted(town) == ""
    until(lambda: "for one of you who did not ask for it" in notes(town), message="those who may agree are not told")
    shown = message(town)
    town.slack.press(shown["channel"], shown["ts"], "action approve", alice)
    until(lambda: any("somebody else has to agree" in said for said in town.whispers(alice)))
    town.slack.press(shown["channel"], shown["ts"], "action approve", carol)
    until(lambda: any("You may not approve restart" in said for said in town.whispers(carol)))
    # The same Alice through another door is still Alice.
    assert "You asked for ACT-1 yourself" in ask(bot, "action approve ACT-1", "alice")["error"]
    assert "proves nobody's name" in bot.ask("action approve ACT-1")["error"]
    assert restarted(town) == ""
    town.slack.press(shown["channel"], shown["ts"], "action approve", bob)
    done = becomes(bot, "done")
    assert restarted(town)
    assert done["approved_by"] == "bob"
    assert deeds(bot) == ["action run", "action approve", "action done"]
    town.slack.slash("#docs-api", bob, "/action", f"approve ACT-1 --seal {done['seal']}")
    until(lambda: any("There is nothing to approve" in said for said in town.whispers(bob)))
    assert "It has no undo: a restart cannot be taken back" in bot.ask("action undo ACT-1")["error"]


def test_refused_and_withdrawn_and_expired_each_say_so_and_change_nothing(town: Town):
    town.config["actions"]["restart"] = RESTART | {"approval": {"people": "bob@example.com", "within": "2s"}}
    bot = town.start()
    assert "proves nobody's name" in bot.ask('action run restart "x"')["error"]
    assert "You may not refuse" in refused_by_eve(bot)
    assert ask(bot, "action refuse ACT-1 not now", "bob")["data"]["status"] == "refused"
    ask(bot, 'action run restart "y"', "alice")
    becomes(bot, "waiting", 2)
    assert "`action refuse ACT-2` says no" in ask(bot, "action undo ACT-2", "eve")["error"]
    assert ask(bot, "action undo ACT-2", "alice")["data"]["why"] == "withdrawn by alice@example.com"
    ask(bot, 'action run restart "z"', "alice")
    assert becomes(bot, "expired", 3)["why"] == "nobody agreed in time"
    assert "There is nothing to approve" in ask(bot, "action approve ACT-3", "bob")["error"]
    assert restarted(town) == ""
    until(lambda: "was refused by bob@example.com: not now" in notes(town) and "Nothing was changed" in notes(town))


def refused_by_eve(bot) -> str:
    ask(bot, 'action run restart "x"', "alice")
    becomes(bot, "waiting")
    return ask(bot, "action refuse ACT-1", "eve")["error"]


def test_an_approval_that_comes_after_its_time_does_nothing_though_no_clock_has_told(town: Town):
    bot = town.start()
    ask(bot, 'action run restart "x"', "alice")
    becomes(bot, "waiting")
    with bot.captain.store.write() as c:
        c.execute(ACTIONS().update().values(approve_by=time.time() - 1))
    assert "was not approved: nobody agreed in time" in ask(bot, "action approve ACT-1", "bob")["error"]
    assert status(bot) == "expired"
    assert restarted(town) == ""


def test_an_edit_of_captain_yml_voids_what_was_asked_for(town: Town):
    bot = town.start()
    ask(bot, 'action run restart "x"', "alice")
    becomes(bot, "waiting")
    bot.stop()
    town.bots.clear()
    town.config["actions"]["restart"] = RESTART | {"do": {"restart": RESTART["do"]["restart"] | {"name": "gateway"}}}
    bot = town.start()
    assert "captain.yml has been changed since" in ask(bot, "action approve ACT-1", "bob")["error"]
    assert status(bot) == "not_applied"
    assert restarted(town) == ""


def test_what_was_written_down_otherwise_than_it_was_approved_is_not_done(town: Town):
    """Approved for exactly this: a row that says something else meanwhile is nobody's wish."""
    town.config["actions"]["more"] = MORE | {"approval": {"needed": ["prod"], "people": "bob@example.com"}}
    bot = town.start()
    ask(bot, 'action run more replicas=3 "x"', "alice")
    seal = becomes(bot, "waiting")["seal"]
    assert "its seal is" in ask(bot, f"action approve ACT-1 --seal {'0' * 16}", "bob")["error"]
    with bot.captain.store.write() as c:
        plan = c.execute(sa.select(ACTIONS().c.plan)).scalar()
        c.execute(ACTIONS().update().values(plan=plan.replace('"spec.replicas":3', '"spec.replicas":9')))
    assert "no longer what was asked for" in ask(bot, f"action approve ACT-1 --seal {seal}", "bob")["error"]
    as_it_was(town)


# ---- refused, lint -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_answered_with_what_to_do(town: Town):
    bot = town.start()
    for line, said in (
        ("action run mroe x", "Did you mean 'more'?"),
        ("action run more", "Say why"),
        ("action run more replicsa=4 x", "Did you mean 'replicas'?"),
        ("action run more replicas=99 x", "must match [3-9]"),
        ("action run more replicas=4 replicas=5 x", "given twice"),
        ("action show ACT-9", "There is no request 'ACT-9'"),
        ("action approve ACT-9", "There is no request"),
    ):
        assert said in bot.ask(line)["error"], line
    bot.ask('action run more "x"')
    assert "One at a time" in bot.ask('action run more "again"')["error"]
    becomes(bot, "off")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"undo": None}, "undo is missing"),
        ({"undo": "none"}, "say why there is none"),
        ({"undo": {"none": "no"}}, "what is set in an object is put back: undo: restore"),
        ({"service": "docs-apy"}, "Did you mean 'docs-api'?"),
        ({"ttl": ""}, "needs ttl:"),
        ({"lasting": True}, "one of them only"),
        ({"check": {"before": "gatway"}}, "Did you mean 'gateway'?"),
        ({"chek": {}}, "Did you mean 'check'?"),
        ({"approval": {"needed": True}}, "nobody may"),
        ({"approval": {"needed": True, "by": "cap"}}, "is not one of permissions.roles"),
        ({"parameters": {"replicas": {"default": "4"}}}, "nothing free goes into a change"),
        ({"parameters": {}}, "'replicas' is not a declared parameter"),
        ({"do": {"object": {"kind": "secret", "namespace": "a", "name": "b", "fields": {"data.x": "y"}}}}, "cannot change this kind"),
        ({"do": {"object": {"kind": "configmap", "namespace": "a", "name": "b", "fields": {"status.x": "y"}}}}, "is no field of"),
        ({"do": {"http": {"url": "https://{{ replicas }}.example.com/"}}, "undo": {"none": "x"}, "ttl": ""}, "a host that no parameter"),
    ],
)  # fmt: skip
def test_a_mistake_in_captain_yml_is_told_with_its_line_and_the_nearest_name(town: Town, change, said):
    made = {key: value for key, value in (MORE | change).items() if value is not None}
    town.config["actions"] = {"more": made}
    with pytest.raises(ConfigError) as problem:
        build(town.write(), {})
    assert said in str(problem.value)
    assert "captain.yml:" in str(problem.value)


# ---- commands and calls ------------------------------------------------------------------------------------------------


@pytest.fixture
def switch(town: Town):
    """The action ``switch``: a program writes its parameter into a file, and its undo takes the file away; it says each deed."""
    file, log = town.folder / "switched", town.folder / "log"
    code = (
        "import os,sys,time; open(sys.argv[1],'a').write(sys.argv[2]+'\\n'); print('said', os.environ.get('TOKEN', ''))"
    )
    write = f"{code}; open(sys.argv[3],'w').write(sys.argv[4])"
    away = f"{code}; os.path.exists(sys.argv[3]) and os.remove(sys.argv[3])"
    town.config["actions"]["switch"] = {
        "service": "docs-api",
        "parameters": {"to": {"pattern": "[^-].*"}},
        "do": {"command": {"argv": [sys.executable, "-c", write, str(log), "do", str(file), "{{ to }}"], "timeout": 2}},
        "undo": {"command": {"argv": [sys.executable, "-c", away, str(log), "undo", str(file)], "timeout": 2}},
        "ttl": "8s",
    }
    return file, log


def test_a_command_is_run_once_with_its_parameter_as_one_word_and_undone_at_its_time(town: Town, switch, monkeypatch):
    file, log = switch
    town.config["actions"]["switch"]["do"]["command"]["env"] = {"TOKEN": "env:OUR_TOKEN"}
    monkeypatch.setenv("OUR_TOKEN", "s3cr3t-value")
    bot = town.start()
    bot.ask("""action run switch 'to=$(id); rm -rf "x"' "try" """)
    becomes(bot, "on")
    assert file.read_text() == '$(id); rm -rf "x"'
    becomes(bot, "off")
    assert not file.exists()
    assert log.read_text().split() == ["do", "undo"]
    with bot.captain.store.read() as c:
        told = json.dumps([list(row) for row in c.execute(sa.text("select detail from audit"))])
        told += json.dumps([list(row) for row in c.execute(sa.text("select result from effects"))])
    assert "said" in told
    assert "s3cr3t" not in told


def test_a_command_that_fails_is_undone_at_once_and_says_so(town: Town, switch):
    file, log = switch
    argv = town.config["actions"]["switch"]["do"]["command"]["argv"]
    argv[2] += "; sys.exit('no room left')"
    bot = town.start()
    bot.ask('action run switch to=x "try"')
    becomes(bot, "off")
    assert log.read_text().split() == ["do", "undo"]
    assert not file.exists()
    until(lambda: "no room left" in notes(town))


def test_an_undo_that_does_not_work_is_tried_and_told_aloud_until_somebody_says_it_is_done(town: Town, switch):
    file, _ = switch
    town.config["actions"]["switch"] |= {"loud_after": 1}
    town.config["actions"]["switch"]["undo"]["command"]["argv"][2] = "import sys; sys.exit('it is stuck')"
    bot = town.start()
    bot.ask('action run switch to=x "try"')
    becomes(bot, "on")
    assert bot.ask("action undo ACT-1")["data"]["status"] == "turning_off"
    until(lambda: any("STILL NOT UNDONE" in town.shown(m) and "By hand" in town.shown(m) for m in town.messages()))
    assert bot.metric("captain_actions_overdue") == 1
    assert "it is stuck" in bot.ask("action list")["text"]
    file.unlink()
    assert bot.ask("action undo ACT-1 --by-hand")["data"]["status"] == "off"
    until(lambda: not any("STILL" in town.shown(m) for m in town.messages()))
    assert bot.ask("action list")["data"] == []


@pytest.fixture
def turnstile(town: Town):
    """An HTTP service whose answers are set: what it was asked, and the status it gives next."""
    asked: list[tuple[str, str, str]] = []
    answers: list[int] = []

    async def take(request) -> Response:
        asked.append((request.method, request.url.path, request.headers.get("idempotency-key", "")))
        return Response("no" if answers and answers[0] >= 300 else "yes", answers.pop(0) if answers else 200)

    served = serve(Starlette(routes=[Route("/{path:path}", take, methods=["POST", "DELETE"])]))
    town.config["actions"]["gate"] = {
        "service": "docs-api", "parameters": {"who": {"pattern": ".+"}}, "lasting": True,
        "do": {"http": {"url": f"{served.url}/gate/{{{{ who }}}}", "timeout": 1}},
        "undo": {"http": {"url": f"{served.url}/gate/{{{{ who }}}}", "method": "DELETE", "timeout": 1}},
    }  # fmt: skip
    yield asked, answers
    served.stop()


def test_a_call_lasts_until_somebody_undoes_it_and_is_never_sent_blindly_again(town: Town, turnstile):
    asked, answers = turnstile
    bot = town.start()
    bot.ask('action run gate who=a/b "let them in"')
    data = becomes(bot, "on")
    assert data["until"] is None
    bot.ask("action undo ACT-1")
    becomes(bot, "off")
    assert [(method, path) for method, path, _ in asked] == [("POST", "/gate/a/b"), ("DELETE", "/gate/a/b")]
    assert asked[0][2] != asked[1][2] != ""
    asked.clear()
    answers.append(500)
    bot.ask('action run gate who=c "let them in"')
    assert "nobody heard whether it ran" in becomes(bot, "off", 2)["why"]
    assert [method for method, *_ in asked] == ["POST", "DELETE"]
    asked.clear()
    town.config["actions"]["gate"]["do"]["http"]["repeatable"] = True
    bot.stop()
    town.bots.clear()
    bot = town.start()
    answers += [500, 429]
    bot.ask('action run gate who=d "let them in"')
    becomes(bot, "on", 3)
    assert [method for method, *_ in asked] == ["POST"] * 3
    assert len({key for *_, key in asked}) == 1, "one key, whatever it took"


# ---- checks, others, incidents -----------------------------------------------------------------------------------------


@pytest.fixture
def runbook(town: Town):
    """``runbook(name, passes)`` writes a runbook that passes or not."""
    folder = town.folder / "runbooks"
    folder.mkdir()
    town.config["captain"]["runbooks"] = "runbooks"

    def write(name: str, passes: bool) -> None:
        check = {"name": "room", "command": ["test", "-e", str(town.folder / name)], "hint": "make room"}
        (folder / f"{name}.yml").write_text(json.dumps({"checks": [check]}))
        if passes:
            (town.folder / name).touch()

    return write


def test_it_is_not_done_unless_the_checks_before_it_pass(town: Town, runbook):
    runbook("space", passes=False)
    town.config["actions"]["more"] = MORE | {"check": {"before": "space"}}
    bot = town.start()
    bot.ask('action run more "x"')
    assert "space says FAIL" in becomes(bot, "not_applied")["why"]
    assert "make room" in bot.ask("action show ACT-1")["text"]
    as_it_was(town)
    (town.folder / "space").touch()
    bot.ask('action run more "x"')
    becomes(bot, "on", 2)
    becomes(bot, "off", 2)


def test_what_does_not_pass_after_it_is_undone(town: Town, runbook):
    runbook("well", passes=False)
    town.config["actions"]["more"] = MORE | {"check": {"after": "well", "within": "1s"}, "ttl": "10m"}
    bot = town.start()
    bot.ask('action run more "x"')
    until(lambda: replicas(town) == 4)
    data = becomes(bot, "off")
    assert data["off_by"] == "the check after it"
    as_it_was(town)
    until(lambda: "well says FAIL" in notes(town))


def test_it_stays_as_somebody_else_has_set_it_and_the_channel_hears_of_it(town: Town, by_hand):
    town.config["actions"]["more"] = MORE | {"ttl": "10m"}
    bot = town.start()
    bot.ask('action run more "x"')
    becomes(bot, "on")
    by_hand(3)
    with bot.captain.store.write() as c:
        c.execute(ACTIONS().update().values(on_at=time.time() - 60))
    bot.captain.engine.ticked("actions", dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    becomes(bot, "off")
    assert replicas(town) == 3
    assert not any("release-captain" in name for name in deployment(town)["annotations"])
    until(lambda: "somebody else changed what" in notes(town))


def test_it_is_part_of_the_incident_it_was_run_for(town: Town, alertmanager_body):
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots())
    bot.ask('action run more --incident INC-1 "it queues"')
    until(lambda: any("ACT-1" in text for text in town.thread(town.roots()[0])))
    becomes(bot, "off")
    told = json.dumps(bot.ask("incident show INC-1"))
    assert "was done, asked by carol: it queues" in told
    assert "was undone, by the clock" in told


def test_the_undo_is_owed_before_the_cluster_hears_of_it(town: Town):
    bot = town.start()
    owed = []

    def hear(call) -> None:
        if call.service == "kubernetes" and call.method == "PATCH":
            with bot.captain.store.read() as c:
                t = EFFECTS()
                owed.append(c.execute(sa.select(t.c.key).where(t.c.kind == "action-undo")).scalars().all())

    town.calls.heard.append(hear)
    bot.ask('action run more "x"')
    becomes(bot, "on")
    assert [len(keys) for keys in owed] == [0, 1], "a dry run, and then the deed"
    becomes(bot, "off")


def test_the_home_tab_shows_what_is_under_way(town: Town):
    town.config["actions"]["more"] = MORE | {"ttl": "10m"}
    bot = town.start()
    bot.ask('action run more "the queue is long"')
    becomes(bot, "on")
    alice = user(town, "alice")
    town.slack.open_home(alice)
    until(lambda: "ACT-1" in json.dumps(town.slack.state()["homes"].get(alice)))
    assert bot.ask("action undo ACT-1")["data"]["off_by"] == "carol"
    becomes(bot, "off")


def test_of_several_fields_only_those_go_back_that_are_still_as_they_were_set(town: Town, cluster):
    """One had the value already, one is changed by somebody meanwhile; only the third is ours to put back."""
    fields = {"data[rate-limit]": "100", "data.bypass": "true", "data[a.b]": "new"}
    deed = {"object": {"kind": "configmap", "namespace": "prod", "name": "gateway-flags", "fields": fields}}
    town.config["actions"]["several"] = {"service": "gateway", "do": deed, "undo": "restore", "lasting": True}
    bot = town.start()
    bot.ask('action run several "x"')
    assert "rate-limit" not in becomes(bot, "on")["diff"]
    assert town.flags()["data"] == {"rate-limit": "100", "bypass": "true", "a.b": "new"}
    ref = ObjectRef("v1", "configmaps", "gateway-flags", "prod")
    cluster.apply(ref, {"kind": "ConfigMap", "data": {"a.b": "theirs"}}, force=True, part="somebody")
    bot.ask("action undo ACT-1")
    becomes(bot, "off")
    assert town.flags()["data"] == {"rate-limit": "100", "bypass": "false", "a.b": "theirs"}
    assert town.flags()["annotations"] == {}
    until(lambda: "is not only my doing any more" in notes(town))


@pytest.fixture
def cluster(town: Town):
    """The bot's own client, for requests of others and those that come late."""
    made = KubernetesClient(KubernetesSettings(url=f"{town.served.url}/kubernetes", timeout=2))
    yield made
    made.close()


def test_a_mark_that_the_database_does_not_know_is_undone(town: Town):
    """Its database was lost, or is older than what stands in the cluster."""
    town.config["actions"]["more"] = MORE | {"ttl": "12s"}
    bot = town.start()
    bot.ask('action run more replicas=7 "x"')
    becomes(bot, "on")
    bot.stop()
    town.bots.clear()
    town.config["captain"]["database"] = f"sqlite:///{town.folder}/older.db"
    bot = town.start()
    assert replicas(town) == 7
    bot.captain.engine.ticked("actions", dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    until(lambda: "my database knew nothing of it" in bot.ask("action list")["text"])
    becomes(bot, "off")
    as_it_was(town)


def test_a_check_that_does_not_pass_offers_what_helps(town: Town, runbook):
    runbook("space", passes=False)
    check = {"name": "room", "command": ["test", "-e", str(town.folder / "space")], "actions": ["more"]}
    (town.folder / "runbooks" / "space.yml").write_text(json.dumps({"checks": [check]}))
    bot, bob = town.start(), user(town, "bob")
    town.slack.slash("#docs-api", bob, "/runbook", "run space")
    shown = until(lambda: next((m for m in town.messages() if "Run more" in town.shown(m)), None))
    town.slack.press(shown["channel"], shown["ts"], "action run", bob)
    data = becomes(bot, "on")
    assert (data["asked_by"], data["reason"]) == ("bob", "room is FAIL in run #1")
    becomes(bot, "off")
    bot.stop()
    town.bots.clear()
    del town.config["actions"]["more"]
    with pytest.raises(ConfigError, match="offers the action 'more', which is not here"):
        build(town.write(), {})


def test_undone_while_the_request_that_does_it_hangs(town: Town):
    town.config["actions"]["more"] = MORE | {"ttl": "10m"}
    bot = town.start()
    came = the_nth_call(town, 4, "hang")
    bot.ask('action run more "x"')
    until(lambda: taken(town, came))
    bot.ask("action undo ACT-1")
    assert "ended by carol before it was done" in becomes(bot, "not_applied")["why"]
    as_it_was(town)


def test_what_could_not_be_undone_in_time_any_more_is_not_done_at_all(town: Town):
    town.config["actions"]["more"] = MORE | {"ttl": "4s"}
    bot = town.start()
    came = the_nth_call(town, 3, "hang")
    bot.ask('action run more "x"')
    until(came.is_set)
    town.kubernetes.faults.breaks("hang")
    until(lambda: status(bot) == "turning_off")
    town.kubernetes.faults.mend()
    assert "too late to be undone in time" in becomes(bot, "not_applied")["why"]
    as_it_was(town)


@pytest.mark.parametrize(
    "fault", ["reset", pytest.param("500", marks=pytest.mark.slow), pytest.param("late", marks=pytest.mark.slow)]
)
def test_a_request_whose_answer_is_lost_is_looked_at_before_it_is_sent_again(town: Town, fault):
    """Both ways, whatever becomes of the answers."""
    town.config["actions"]["more"] = MORE | {"ttl": "10m"}
    bot = town.start()
    for line, wanted in (('action run more "x"', "on"), ("action undo ACT-1", "off")):
        town.kubernetes.faults.breaks(fault, times=3, delay=1)
        bot.ask(line)
        becomes(bot, wanted)
        assert replicas(town) == {"on": 4, "off": 2}[wanted]
    as_it_was(town)
