"""The sandbox as a stranger meets it: one command, one page, the whole main job, without an account."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ground.waiting import free_port, until

pytestmark = pytest.mark.slow
CAPTAIN = str(Path(sys.executable).with_name("captain"))
FIRE = Path(__file__).parent.parent / "data" / "alertmanager" / "firing-single.json"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


class Sandbox:
    """``captain sandbox`` in a process of its own, driven by its own commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Returns its address once the bot is up."""
        command = [
            CAPTAIN,
            "sandbox",
            "--data",
            str(self.folder),
            "--port",
            str(self.port),
            "--bot-port",
            str(free_port()),
        ]
        with (self.folder.parent / "sandbox.log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
        until(lambda: self.run("state").startswith("bot         ready"), timeout=40, message="the bot did not come up")
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str) -> str:
        """One of its commands; an answer on either stream."""
        env = {**os.environ, "CAPTAIN_SANDBOX_PORT": str(self.port)}
        done = subprocess.run(
            [CAPTAIN, "sandbox", *words], capture_output=True, text=True, timeout=30, env=env, check=False
        )
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        return json.loads(self.run("state", "--json"))

    def stop(self) -> int:
        """Ctrl-C, which it obeys within five seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        assert time.monotonic() - began < 5
        return code


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path / "data")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(15)


def panel(state: dict[str, Any], number: int = 1) -> str:
    """All that is shown in an incident's root message."""
    roots = [
        m
        for m in state["slack"]["messages"]
        if f"INC-{number} " in m["text"] and m["blocks"] and "header" in str(m["blocks"])
    ]
    return json.dumps(roots[0]["blocks"], ensure_ascii=False) if roots else ""


def test_the_main_job_from_a_script(sandbox: Sandbox):
    sandbox.start()
    assert sandbox.run("send", str(FIRE)).startswith("The bot answered 202")
    until(lambda: "PagerDuty ✔" in panel(sandbox.state()) and "Jira ✔" in panel(sandbox.state()), timeout=15)
    state = sandbox.state()
    assert {"slack", "pagerduty", "jira", "kubernetes", "calls"} <= set(state)
    assert {"channels", "messages"} <= set(state["slack"])
    assert len(state["pagerduty"]["incidents"]) == len(state["jira"]["issues"]) == 1
    assert any("Checks of docs-api" in m["text"] for m in state["slack"]["messages"])

    assert "pressed" in sandbox.run("press", "INC-1", "Acknowledge")
    until(lambda: sandbox.state()["pagerduty"]["incidents"][0]["status"] == "acknowledged", timeout=10)
    assert "1 incident open" in sandbox.run("say", "#docs-api", "/incident list", "--wait", "5s")

    # PagerDuty is broken while another service burns, and the bot is killed in the middle of it.
    sandbox.run("break", "pagerduty", "500")
    sandbox.run("burn", "gateway")
    until(lambda: "PagerDuty ⏳ retry" in panel(sandbox.state(), 2), timeout=15, message="the panel hides the truth")
    assert sandbox.run("kill").startswith("killed")
    sandbox.run("mend")
    until(lambda: len(sandbox.state()["pagerduty"]["incidents"]) == 2, timeout=40, message="the page was lost")
    until(lambda: "PagerDuty ✔" in panel(sandbox.state(), 2), timeout=20)

    sandbox.run("calm", "gateway")
    sandbox.run("press", "INC-1", "Resolve")
    # Nothing has said that its alert has ended: whoever resolves it is asked.
    until(lambda: "Resolve anyway" in sandbox.run("state", "--json"), timeout=10, message="nobody was asked")
    sandbox.run("press", "INC-1 stays open", "Resolve anyway")
    until(lambda: {i["status"] for i in sandbox.state()["pagerduty"]["incidents"]} == {"resolved"}, timeout=15)
    until(lambda: {i["status_category"] for i in sandbox.state()["jira"]["issues"]} == {"done"}, timeout=15)
    state = sandbox.state()
    assert len(state["pagerduty"]["incidents"]) == len(state["jira"]["issues"]) == 2

    # Ctrl-C, and the next start remembers.
    assert sandbox.stop() == 0
    sandbox.start()
    assert len(sandbox.state()["pagerduty"]["incidents"]) == 2
    assert "INC-1" in sandbox.run("say", "#docs-api", "/incident list --all", "--wait", "5s")


def test_a_flag_from_a_script(sandbox: Sandbox):
    """Switched on, the bot killed, switched off by its button: the cluster is as it was."""

    def bypass() -> str:
        objects = sandbox.state()["kubernetes"]["objects"]
        return next(o for o in objects if o["name"] == "gateway-flags")["data"]["bypass"]

    sandbox.start()
    assert bypass() == "false"
    told = sandbox.run("say", "#gateway", "/flag on gateway-bypass --for 30m the sidecar is slow", "--wait", "5s")
    assert "is being switched on until" in told
    until(lambda: bypass() == "true", timeout=10)
    assert sandbox.run("kill").startswith("killed")
    until(lambda: sandbox.run("state").startswith("bot         ready"), timeout=40)
    assert bypass() == "true"
    assert "pressed" in sandbox.run("press", "gateway-bypass", "Switch off")
    until(lambda: bypass() == "false", timeout=15)


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """The page in a real Chromium; at the end nothing may have been complained about on its console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the playwright package is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    complaints: list[str] = []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=found, args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(url)
        yield page
        browser.close()
    assert complaints == []


@pytest.mark.browser
def test_the_main_job_on_the_page(sandbox: Sandbox):
    with opened(sandbox.start()) as page:
        page.get_by_role("button", name="docs-api").first.click()
        page.get_by_role("button", name="Fast burn").first.click()
        shown = page.locator("#messages")
        shown.get_by_text("INC-1").first.wait_for(timeout=15_000)
        shown.get_by_text("PagerDuty ✔").wait_for(timeout=15_000)
        shown.get_by_role("button", name="1 reply").click()
        page.locator("#thread").get_by_text("Checks of docs-api").wait_for(timeout=15_000)
        shown.get_by_role("button", name="Acknowledge").click()
        shown.get_by_text("acknowledged by alice").wait_for(timeout=15_000)
        page.locator("#thread").get_by_text("✋ Acknowledged by alice.").wait_for(timeout=15_000)
        page.get_by_role("tab", name="PagerDuty").click()
        page.get_by_text("acknowledged", exact=True).first.wait_for(timeout=10_000)
        if picture := os.environ.get("CAPTAIN_SCREENSHOT"):
            page.screenshot(path=picture)
        page.get_by_role("tab", name="Jira").click()
        page.locator("#panel .card", has_text="docs-api burns").get_by_text("To Do", exact=True).wait_for()
        shown.get_by_role("button", name="Resolve", exact=True).click()
        shown.get_by_role("button", name="Resolve anyway").click()
        shown.get_by_text("resolved by alice").wait_for(timeout=15_000)
        page.locator("#panel .tag", has_text="Done").wait_for()
        page.get_by_role("tab", name="PagerDuty").click()
        page.locator("#panel").get_by_text("resolved", exact=True).wait_for()
    assert sandbox.stop() == 0


@pytest.mark.browser
def test_the_world_is_broken_and_the_bot_killed_on_the_page_and_all_is_kept(sandbox: Sandbox):
    with opened(sandbox.start()) as page:
        shown, panel_ = page.locator("#messages"), page.locator("#panel")
        enter = lambda name: page.locator("#rail .channel", has_text=name).click()  # noqa: E731 - a verb of this story
        tab = lambda name: page.get_by_role("tab", name=name).click()  # noqa: E731

        # PagerDuty is broken when gateway burns: the panel says so, and nobody has been paged.
        enter("gateway")
        page.get_by_label("For how long").select_option(label="until mended")
        page.get_by_role("button", name="PagerDuty 500").click()
        page.locator(".turn", has_text="gateway").get_by_role("button", name="Fast burn").click()
        shown.get_by_text("PagerDuty ⏳ retry").wait_for()
        tab("PagerDuty")
        panel_.get_by_text("Nobody has been paged.").wait_for()
        tab("World")
        page.get_by_role("button", name="Mend PagerDuty").click()
        shown.get_by_text("PagerDuty ✔").wait_for()
        tab("PagerDuty")
        panel_.locator(".card", has_text="gateway burns").get_by_text("triggered", exact=True).wait_for()

        # Jira hangs in the middle of docs-api's burn, and the bot is killed with the call in hand.
        enter("docs-api")
        tab("World")
        page.get_by_role("button", name="Jira Hang").click()
        page.locator(".turn", has_text="docs-api").get_by_role("button", name="Fast burn").click()
        shown.get_by_text("PagerDuty ✔").wait_for()
        page.get_by_role("button", name="kill -9", exact=True).click()
        page.locator(".bot-line").get_by_text("killed by SIGKILL").wait_for()
        page.get_by_role("button", name="Mend Jira").click()
        page.locator(".bot-line").get_by_text("ready", exact=True).wait_for()
        shown.get_by_text("Jira ✔").wait_for(timeout=40_000)
        tab("Jira")
        panel_.locator(".card", has_text="docs-api burns").wait_for()
        assert panel_.locator(".card").count() == 2, "one ticket each, also after the kill"

        # A command is completed and answered to its asker alone.
        page.keyboard.press("/")
        page.keyboard.type("incident li")
        page.locator(".completion [role=option]", has_text="incident list").first.wait_for()
        page.keyboard.press("Tab")
        assert page.locator("#box").input_value().strip() == "/captain incident list"
        page.keyboard.press("Enter")
        answer = shown.locator(".message.ephemeral", has_text="2 incidents open")
        answer.get_by_text("Only visible to you").wait_for()
        answer.get_by_text("INC-2").wait_for()

        # The Home tab tells the same.
        enter("Home")
        shown.get_by_text("On call now").wait_for()
        shown.get_by_text("INC-1").wait_for()

        # The burns end, and everything is closed without a person.
        tab("World")
        page.get_by_role("button", name="End the burn of docs-api").click()
        page.get_by_role("button", name="End the burn of gateway").click()
        for name in ("docs-api", "gateway"):
            enter(name)
            shown.get_by_text("resolved by Alertmanager").wait_for()
        tab("PagerDuty")
        panel_.get_by_text("resolved", exact=True).nth(1).wait_for()
        tab("Jira")
        panel_.locator(".tag", has_text="Done").nth(1).wait_for()
    assert sandbox.stop() == 0

    # The next start goes on where this one ended.
    with opened(sandbox.start()) as page:
        page.locator("#rail .channel", has_text="gateway").click()
        page.locator("#messages").get_by_text("resolved by Alertmanager").wait_for()
        page.locator("#box").fill("/incident list --all")
        page.keyboard.press("Enter")
        answer = page.locator("#messages .message.ephemeral", has_text="2 incidents")
        for number in (1, 2):
            answer.get_by_text(f"INC-{number}").wait_for()
        page.get_by_role("tab", name="PagerDuty").click()
        page.locator("#panel").get_by_text("resolved", exact=True).nth(1).wait_for()
        assert page.locator("#panel .card").count() == 2, "nobody is paged for what is over"
    assert sandbox.stop() == 0
