"""The sandbox over HTTP: what people do, what breaks, who may ask, and what is kept."""

import http.client
import json
import os
import socket
import stat

import pytest
import yaml
from ground.waiting import until

from bot.errors import Refused
from bot.sandbox import remote
from bot.sandbox.bot_process import BotProcess
from bot.sandbox.remote import Remote
from bot.sandbox.run import Sandbox, check_port, reset_sandbox


def messages(there, word):
    rows = there.state()["slack"]["messages"]
    return [row for row in rows if word in row["text"]]


def raw(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        connection.close()


def test_state_has_the_promised_shape(there):
    state = there.state()
    assert {"slack", "pagerduty", "jira", "kubernetes", "calls"} <= set(state)
    assert {"channels", "messages"} <= set(state["slack"])
    assert isinstance(state["pagerduty"]["incidents"], list)
    assert isinstance(state["jira"]["issues"], list)
    assert any(row["kind"] == "Deployment" for row in state["kubernetes"]["objects"])
    assert state["bot"]["state"] == "ready"


def test_a_message_and_its_answer_in_the_thread(there):
    said = there.act("say", {"channel": "#general", "user": "bob", "text": "echo hello & <b> @alice in #gateway"})
    reply = until(lambda: [m for m in messages(there, "hello") if m["thread_ts"] == said["ts"] and m["is_bot"]])
    alice = next(u["id"] for u in there.state()["slack"]["users"] if u["name"] == "alice")
    assert f"hello &amp; &lt;b&gt; <@{alice}> in <#" in reply[0]["text"]


def test_a_slash_command_is_answered_to_its_asker_alone(there):
    done = there.act("say", {"channel": "general", "user": "carol", "text": "/captain tell me"})
    assert done["command"] == "/captain tell me"
    answer = until(lambda: messages(there, "tell me"))[0]
    carol = next(u["id"] for u in there.state()["slack"]["users"] if u["name"] == "carol")
    assert answer["ephemeral_to"] == carol


def test_a_subject_typed_as_its_own_command_reaches_the_bot(there):
    assert (
        there.act("say", {"channel": "general", "text": "/incident roll call"})["command"]
        == "/captain incident roll call"
    )


def test_a_burn_becomes_page_ticket_and_message_and_ends(there):
    there.act("burn", {"service": "gateway", "kind": "fast"})
    found = until(lambda: messages(there, "gateway burns"))[0]
    assert found["channel_name"] == "incidents"
    state = there.state()
    assert [row for row in state["pagerduty"]["incidents"] if "gateway burns" in row["title"]]
    assert [row for row in state["jira"]["issues"] if "gateway burns" in row["summary"]]
    assert state["alertmanager"]["alerts"]
    assert state["prometheus"]["services"]["gateway"]["errors"] == 0.05
    there.act("calm", {"service": "gateway"})
    assert there.state()["alertmanager"]["alerts"] == []


def test_a_button_is_found_by_the_words_of_its_message_and_its_label(there):
    there.act("say", {"channel": "#incidents", "text": "/captain incident open pressing matters"})
    shown = until(lambda: messages(there, "pressing matters"))[0]
    done = there.act("press", {"message": "Pressing Matters", "button": "acknowledge", "user": "bob"})
    assert (done["message"], done["pressed"]) == (shown["ts"], "Acknowledge")
    until(lambda: [m for m in messages(there, "acknowledged") if m["ts"] == shown["ts"] and m["edited"]])
    chosen = there.act("press", {"message": shown["ts"], "button": "severity", "selected": "SEV1"})
    assert chosen["pressed"] == "Severity"
    until(lambda: messages(there, "Severity is now sev1"))


def test_a_form_refuses_and_then_takes_what_is_filled_in(there):
    there.act("say", {"channel": "#incidents", "text": "/captain form", "user": "carol"})
    view = until(lambda: there.state()["slack"]["views"])[-1]
    short = {"what": {"text": "no"}, "sev": {"pick": "sev3"}}
    refused = there.act("submit_view", {"view_id": view["id"], "user": "carol", "values": short})
    assert refused["errors"] == {"what": "Say a little more."}
    full = {"what": {"text": "the cache is cold"}, "sev": {"pick": "sev3"}}
    assert there.act("submit_view", {"view_id": view["id"], "user": "carol", "values": full})["ok"]
    until(lambda: messages(there, "the cache is cold (sev3)"))
    assert view["id"] not in [row["id"] for row in there.state()["slack"]["views"]]


@pytest.mark.parametrize(
    ("act", "body", "sentence"),
    [
        ("dance", {}, "There is no action 'dance'"),
        ("say", {"channel": "#nowhere", "text": "hi"}, "There is no such channel"),
        ("say", {"channel": "#general", "text": "hi", "user": "mallory"}, "There is no such person"),
        ("say", {"channel": "#general"}, "'text' is missing"),
        ("press", {"message": "no message says this", "button": "ok"}, "No message that alice can see matches"),
        ("break", {"service": "fax", "mode": "500"}, "There is no stand-in called 'fax'"),
        ("break", {"service": "jira", "mode": "418"}, "'418' is no way to break"),
        ("break", {"service": "jira", "mode": "500", "seconds": -1}, "'seconds' must be a number of at least"),
        ("deploy", {"service": "unknown"}, "There is no service 'unknown'"),
        ("deploy", {"service": "gateway", "bad": "yes"}, "'bad' must be true or false"),
        ("burn", {"service": "unknown"}, "There is no service 'unknown'"),
        ("metrics", {"service": "gateway", "errors": 7}, "ratio between 0 and 1"),
        ("pagerduty_acknowledge", {"incident": "QNONE"}, "PagerDuty"),
        ("jira_transition", {"key": "OPS-999", "to": "Done"}, "Jira refuses"),
        ("submit_view", {"view_id": "V1", "values": [1]}, "'values' must be an object"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(there, act, body, sentence):
    with pytest.raises(Refused, match=sentence):
        there.act(act, body)


def test_breaking_and_mending_a_stand_in(there, sandbox):
    there.act("break", {"service": "jira", "mode": "429", "seconds": 60, "retry_after": 7})
    status, headers, _ = raw(sandbox.port, "GET", "/jira/rest/api/2/serverInfo")
    assert (status, headers["retry-after"]) == (429, "7")
    fault = there.state()["world"]["faults"]["jira"][0]
    assert fault["mode"] == "429"
    assert 50 < fault["seconds_left"] <= 60
    there.act("mend", {"service": "jira"})
    assert raw(sandbox.port, "GET", "/jira/rest/api/2/serverInfo")[0] == 200
    assert there.state()["calls"][-2]["fault"] == "429"


def test_people_act_in_pagerduty_and_jira(there):
    there.act("say", {"channel": "#incidents", "text": "/captain incident open phones ring"})
    until(lambda: messages(there, "phones ring"))
    incident = next(row for row in there.state()["pagerduty"]["incidents"] if row["title"] == "phones ring")
    there.act("pagerduty_acknowledge", {"incident": f"#{incident['number']}", "user": "bob@example.com"})
    there.act("pagerduty_note", {"incident": incident["id"], "user": "bob@example.com", "text": "looking"})
    there.act("pagerduty_escalate", {"incident": incident["id"], "user": "bob@example.com"})
    with pytest.raises(Refused, match="Escalation level must be between 1 and 2"):
        there.act("pagerduty_escalate", {"incident": incident["id"], "user": "bob@example.com"})
    there.act("pagerduty_take", {"incident": incident["id"], "user": "carol"})
    paged = next(row for row in there.state()["pagerduty"]["incidents"] if row["id"] == incident["id"])
    assert (paged["assignees"], [note["text"] for note in paged["notes"]]) == (["carol@example.com"], ["looking"])
    there.act("pagerduty_acknowledge", {"incident": incident["id"], "user": "bob@example.com"})
    key = next(row["key"] for row in there.state()["jira"]["issues"] if row["summary"] == "phones ring")
    there.act("jira_comment", {"key": key, "text": "on it", "user": "bob"})
    there.act("jira_close", {"key": key, "user": "bob"})
    state = there.state()
    assert (
        next(row for row in state["pagerduty"]["incidents"] if row["id"] == incident["id"])["status"] == "acknowledged"
    )
    ticket = next(row for row in state["jira"]["issues"] if row["key"] == key)
    assert (ticket["status_category"], ticket["comments"][0]["text"]) == ("done", "on it")


def test_a_posted_body_reaches_the_bot_with_its_token(there):
    alert = {"status": "firing", "labels": {"service": "docs-api"}, "annotations": {"summary": "a posted alert"}}
    done = there.act("send", {"body": {"version": "4", "alerts": [alert]}})
    assert done == {"status": 202, "answer": {"taken": 1}}
    until(lambda: messages(there, "a posted alert"))


def test_a_killed_bot_comes_back(there, sandbox):
    before = there.state()["bot"]
    assert there.act("kill", {})["killed"] == before["pid"]
    after = until(lambda: (now := there.state()["bot"])["state"] == "ready" and now["pid"] != before["pid"] and now)
    assert after["restarts"] == before["restarts"] + 1
    assert after["last_exit"] == "killed by SIGKILL"
    until(lambda: there.state()["slack"]["sockets"])


def test_only_the_page_itself_and_local_programs_may_ask(sandbox):
    say = json.dumps({"channel": "#general", "text": "smuggled"})
    own = f"http://127.0.0.1:{sandbox.port}"
    json_type = {"content_type": "application/json"}
    assert raw(sandbox.port, "POST", "/act/say", say, origin="https://evil.example", **json_type)[0] == 403
    assert raw(sandbox.port, "POST", "/act/say", say, origin="null", **json_type)[0] == 403
    assert raw(sandbox.port, "POST", "/act/say", say, host="evil.example", **json_type)[0] == 403
    assert raw(sandbox.port, "POST", "/act/say", say, sec_fetch_site="cross-site", **json_type)[0] == 403
    assert raw(sandbox.port, "POST", "/act/say", say, content_type="text/plain")[0] == 415
    assert raw(sandbox.port, "GET", "/state", host="evil.example")[0] == 403
    assert raw(sandbox.port, "PATCH", "/kubernetes/version", "{}", origin="https://evil.example")[0] == 403
    assert messages(Remote(sandbox.port), "smuggled") == []
    assert raw(sandbox.port, "POST", "/act/mend", "{}", origin=own, sec_fetch_site="same-origin", **json_type)[0] == 200


@pytest.mark.parametrize("body", ["", "[]", "{not json", '"word"'])
def test_a_body_that_is_no_object_is_refused_or_taken_as_empty(sandbox, body):
    status, _, text = raw(sandbox.port, "POST", "/act/say", body, content_type="application/json")
    assert status == 400
    assert json.loads(text)["error"]


def test_the_page_is_served_with_a_policy_that_lets_nothing_in(sandbox):
    status, headers, text = raw(sandbox.port, "GET", "/")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "https://" not in text
    assert raw(sandbox.port, "GET", "/page/js/main.js")[1]["content-type"].startswith("text/javascript")
    assert raw(sandbox.port, "GET", "/page/../server.py")[0] == 404


def test_the_stream_tells_of_a_change(sandbox, there):
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as line:
        line.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{sandbox.port}\r\n\r\n".encode())
        stream = line.makefile("rb")

        def revision():
            while not (row := stream.readline()).startswith(b"data:"):
                assert row
            return int(row[5:])

        first = revision()
        there.act("say", {"channel": "#general", "text": "something new"})
        assert revision() > first
        stream.close()


def test_secrets_and_config_are_for_the_owner_alone(sandbox):
    for name in ("captain.yml", "secrets.json", "world.json"):
        until((sandbox.data / name).exists)
        assert stat.S_IMODE((sandbox.data / name).stat().st_mode) == 0o600
    config = yaml.safe_load((sandbox.data / "captain.yml").read_text())
    assert config["slack"]["base_url"] == f"{sandbox.url}/slack/api/"
    assert len(config["services"]["gateway"]["pagerduty"]) == 32


def test_it_goes_on_where_it_ended(tmp_path, bot_command):
    first = Sandbox(tmp_path / "data", port=0, bot_command=bot_command)
    first.start()
    there = Remote(first.port)
    there.act("say", {"channel": "#general", "text": "remember this"})
    there.act("break", {"service": "jira", "mode": "500"})
    assert first.bot.wait_ready(20), first.bot.tail()
    pid = there.state()["bot"]["pid"]
    first.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    second = Sandbox(tmp_path / "data", port=0, bot_command=bot_command)
    second.start()
    try:
        state = Remote(second.port).state()
        assert [m["text"] for m in state["slack"]["messages"]].count("remember this") == 1
        assert state["world"]["faults"]["jira"] == []
        assert [c["path"] for c in state["calls"] if c["service"] == "slack"][:1] == ["/api/auth.test"]
        with pytest.raises(Refused, match="already running"):
            Sandbox(tmp_path / "data", port=0, bot_command=bot_command).start()
        with pytest.raises(Refused, match="already running"):
            reset_sandbox(tmp_path / "data")
    finally:
        second.stop()
    assert reset_sandbox(tmp_path / "data") is True
    assert reset_sandbox(tmp_path / "data") is False


def test_a_bot_left_over_from_a_killed_sandbox_is_ended_first(tmp_path, bot_command):
    first = Sandbox(tmp_path, port=0, bot_command=bot_command)
    first.start()
    assert first.bot.wait_ready(20), first.bot.tail()
    heir = BotProcess(first.bot.command, port=first.bot.port, log=first.bot.log, pid_file=tmp_path / "bot.pid")
    heir._end_left_over()
    until(lambda: first.bot.status()["restarts"] == 1)
    assert first.bot.status()["last_exit"] == "killed by SIGKILL"
    first.stop()
    (tmp_path / "bot.pid").write_text(str(os.getpid()))  # somebody else's by now
    heir._end_left_over()
    assert not (tmp_path / "bot.pid").exists()


def test_a_bot_told_to_stop_while_it_starts_does_not_stay(tmp_path):
    trace = tmp_path / "started"
    for _ in range(30):
        words = ("/bin/sh", "-c", f"echo $$ >> {trace}; exec sleep 60")
        bot = BotProcess(words, port=check_port(0, "x"), log=tmp_path / "log", pid_file=tmp_path / "pid")
        bot.start()
        bot.stop()
    for pid in trace.read_text().split() if trace.exists() else []:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_bot_that_cannot_start_is_shown_with_its_last_words(tmp_path):
    python = os.environ.get("PYTHON", "/bin/sh")
    broken = Sandbox(tmp_path, port=0, bot_command=(python, "-c", "echo no such luck; exit 3"))
    broken.start()
    try:
        there = Remote(broken.port)
        bot = until(lambda: (now := there.state()["bot"])["restarts"] >= 1 and now)
        assert bot["last_exit"] == "ended with code 3"
        assert "no such luck" in broken.bot.tail()
        with pytest.raises(Refused, match="The bot does not answer"):
            there.act("send", {"body": {"alerts": []}})
    finally:
        broken.stop()


def test_a_taken_port_is_said_with_the_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"Port {port}, which the sandbox would use, is taken.*--port"):
            Sandbox(tmp_path, port=port, bot_port=check_port(0, "the bot")).start()
    with pytest.raises(Refused, match="Port 70000"):
        check_port(70000, "the sandbox")


def test_a_world_that_cannot_be_read_is_said_with_the_way_out(tmp_path):
    (tmp_path / "world.json").write_text('{"slack": 1}')
    with pytest.raises(Refused, match="captain sandbox reset"):
        Sandbox(tmp_path, port=0, bot_command=("/bin/true",)).start()


def test_reset_leaves_other_folders_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(Refused, match="does not look like a sandbox's data"):
        reset_sandbox(tmp_path)
    assert (tmp_path / "precious").exists()


def test_nobody_there_is_a_sentence(tmp_path):
    port = check_port(0, "nobody")
    with pytest.raises(Refused, match=f"No sandbox answers on 127.0.0.1:{port}"):
        Remote(port).state()
    with pytest.raises(remote.Unreachable):
        remote.ask(port, "GET", "/")


@pytest.mark.slow
def test_the_real_bot_takes_the_written_config_and_answers_a_burn(tmp_path):
    whole = Sandbox(tmp_path, port=0)
    whole.start()
    try:
        assert whole.bot.wait_ready(30), whole.bot.tail()
        there = Remote(whole.port)
        until(lambda: there.state()["slack"]["sockets"])
        there.act("burn", {"service": "gateway", "kind": "fast"})
        until(lambda: there.state()["pagerduty"]["incidents"] and there.state()["jira"]["issues"], timeout=20)
        until(lambda: [m for m in there.state()["slack"]["messages"] if m["channel_name"] == "gateway" and m["blocks"]])
        assert any(row["text"].startswith("/captain incident ") for row in there.state()["commands"])
    finally:
        whole.stop()


@pytest.mark.slow
def test_the_real_bot_sees_a_deploy_in_the_cluster_says_it_and_checks_it_and_a_bad_one_fails(tmp_path):
    whole = Sandbox(tmp_path, port=0)
    whole.start()
    try:
        assert whole.bot.wait_ready(30), whole.bot.tail()
        there, hears = Remote(whole.port), 'captain_deploy_watch_up{kind="deployments",namespace="prod"} 1.0'
        until(lambda: hears in remote.ask(whole.bot.port, "GET", "/metrics").text, timeout=30)

        def said(words):
            shown = [m for m in there.state()["slack"]["messages"] if m["channel_name"] == "docs-api"]
            return [m for m in shown if all(one in json.dumps(m["blocks"]) for one in words)]

        there.act("deploy", {"service": "docs-api"})
        until(lambda: said(["1.4.3", "D-1", "passed"]), timeout=40)
        there.act("deploy", {"service": "docs-api", "bad": True})
        until(lambda: said(["1.4.4", "D-2", "FAILED", "error ratio", "threshold", "roll back"]), timeout=40)
    finally:
        whole.stop()
