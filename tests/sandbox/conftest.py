"""A running sandbox around the pretend bot, shared by this folder, and a Chromium to look at its page with."""

import shutil
import sys
from pathlib import Path

import pytest

from bot.sandbox.remote import Remote
from bot.sandbox.run import Sandbox

BOT = (sys.executable, str(Path(__file__).parent / "pretend_bot.py"), "{config}")
ARGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"


@pytest.fixture(scope="session")
def bot_command():
    return BOT


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """One for all tests here; each uses words of its own."""
    made = Sandbox(tmp_path_factory.mktemp("sandbox"), port=0, bot_command=BOT)
    made.start()
    try:
        assert made.bot.wait_ready(20), made.bot.tail()
        yield made
    finally:
        made.stop()


@pytest.fixture
def there(sandbox):
    """The sandbox as the command line asks it, whole again after the test."""
    yield Remote(sandbox.port)
    Remote(sandbox.port).act("mend", {})


@pytest.fixture(scope="module")
def chromium():
    """Of one module: Playwright leaves an event loop running in this thread for as long as it is open."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the playwright package is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=found, args=ARGS.split())
        yield browser
        browser.close()


def complains(said):
    """Chromium itself notes every refusal (400), which the page shows in words; all else is a fault of the page."""
    return said.type in ("error", "warning") and "status of 400" not in said.text


@pytest.fixture
def open_page(chromium, sandbox):
    """Opens the page as somebody sees it; at the end nothing may have been complained about on its console."""
    contexts, complaints = [], []

    def make(width=1280, height=800, scheme="light", path="/"):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda said: complaints.append(said.text) if complains(said) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(sandbox.url + path)
        page.wait_for_selector("#rail .channel", state="attached")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
