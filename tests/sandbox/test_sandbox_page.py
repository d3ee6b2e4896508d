"""The sandbox's page in a real Chromium: what it shows, what it does, and how it is used without a mouse."""

import re

import pytest
from ground.waiting import until

from bot.integrations.kubernetes import KubernetesSettings, ObjectRef
from bot.integrations.kubernetes.client import KubernetesClient
from handlers.flags.rules import Mark

pytestmark = pytest.mark.browser

SIZES = [(1280, 800), (390, 844)]


def incident(there, words):
    there.act("say", {"channel": "#incidents", "text": f"/captain incident open {words}"})
    found = until(lambda: [m for m in there.state()["slack"]["messages"] if words in m["text"] and m["blocks"]])
    return found[0]["ts"]


def message(page, ts):
    return page.locator(f'#messages .message[data-ts="{ts}"]')


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_an_incident_is_shown_with_its_blocks(open_page, there):
    ts = incident(there, "the lights go out")
    shown = message(open_page(), ts)
    assert "INC-1 the lights go out" in shown.locator("h3").inner_text()
    assert shown.locator(".fields .words").count() == 4
    assert shown.get_by_role("link", name="docs-api").get_attribute("href") == "https://runbooks.example/docs-api"
    assert re.search(r"Started\s+\d\d:\d\d", shown.inner_text())


def test_data_never_becomes_markup_and_bad_links_stay_text(open_page, there):
    there.act("say", {"channel": "#incidents", "text": "/captain blocks"})
    there.act("say", {"channel": "#incidents", "text": "<img src=x onerror=alert(1)> *strong* `co<d>e`", "user": "bob"})
    page = open_page()
    said = page.locator(".message", has_text="onerror").last
    assert said.locator("img").count() == 0
    assert said.locator("code").inner_text() == "co<d>e"
    blocks = page.locator(".message", has_text="not markup").last
    assert blocks.locator("blockquote").inner_text() == "quoted"
    assert blocks.locator("pre").inner_text() == "two\nlines"
    assert blocks.locator("li").count() == 2
    assert [a.get_attribute("href") for a in blocks.locator("a").all()] == ["https://example.com"]


def test_a_press_changes_the_message_in_place_and_keeps_the_focus(open_page, there):
    ts = incident(there, "acknowledge me")
    page = open_page()
    shown = message(page, ts)
    press = shown.get_by_role("button", name="Acknowledge")
    press.focus()
    page.evaluate("window.was = document.activeElement")
    page.keyboard.press("Enter")
    shown.get_by_text("Acknowledged by").wait_for()
    shown.get_by_text("1 reply").wait_for()
    assert page.evaluate("window.was === document.activeElement && window.was.isConnected")


def test_what_is_being_read_stays_where_it_is(open_page, there):
    for n in range(12):
        there.act("say", {"channel": "#docs-api", "text": f"line {n}\n\n\n and more", "user": "bob"})
    page = open_page()
    page.get_by_role("button", name="docs-api").click()
    page.locator("#messages").get_by_text("line 11").wait_for()
    page.evaluate("messages.scrollTop = 100")
    there.act("say", {"channel": "#docs-api", "text": "the newest", "user": "bob"})
    page.locator("#messages").get_by_text("the newest").wait_for()
    assert abs(page.evaluate("messages.scrollTop") - 100) <= 2
    page.evaluate("messages.scrollTop = messages.scrollHeight")
    there.act("say", {"channel": "#docs-api", "text": "newer still", "user": "bob"})
    page.locator("#messages").get_by_text("newer still").wait_for()
    assert page.evaluate("messages.scrollHeight - messages.scrollTop - messages.clientHeight") < 3


def test_a_thread_is_opened_answered_and_closed(open_page, there):
    said = there.act("say", {"channel": "#incidents", "text": "echo into the thread", "user": "bob"})
    page = open_page()
    message(page, said["ts"]).get_by_text("1 reply").click()
    page.locator("#thread .replies").get_by_text("into the thread").last.wait_for()
    page.locator("#thread-box").fill("my answer")
    page.keyboard.press("Enter")
    page.locator("#thread .replies").get_by_text("my answer").wait_for()
    page.keyboard.press("Escape")
    page.locator("#thread").wait_for(state="hidden")
    assert page.locator("#messages").get_by_text("my answer").count() == 0


def test_a_long_thread_opens_at_its_end(open_page, there):
    root = there.act("say", {"channel": "#incidents", "text": "a long thread", "user": "bob"})["ts"]
    for n in range(12):
        there.act("say", {"channel": "#incidents", "text": f"reply {n}\n\n\n more", "user": "bob", "thread_ts": root})
    page = open_page()
    message(page, root).get_by_text("12 replies").click()
    page.locator("#thread .replies").get_by_text("reply 11").wait_for()
    left = "(() => { const r = document.querySelector('.replies'); return r.scrollHeight - r.scrollTop - r.clientHeight; })()"
    assert page.evaluate(left) < 3


def test_the_tools_of_a_message_hide_none_of_its_words(open_page, there):
    said = there.act("say", {"channel": "#incidents", "text": "words " * 40, "user": "bob"})
    page = open_page()
    shown = message(page, said["ts"])
    shown.hover()
    tools, words = shown.locator(".tools").bounding_box(), shown.locator(".words").first.bounding_box()
    assert tools["y"] + tools["height"] <= words["y"]


def test_a_modal_holds_the_focus_says_what_is_wrong_and_is_sent(open_page, there):
    ts = incident(there, "fill the form")
    page = open_page()
    message(page, ts).get_by_role("button", name="Update").click()
    dialog = page.get_by_role("dialog", name="Update INC-1")
    dialog.wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        # Between the last and the first control the browser itself has a turn; the page behind never has.
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    dialog.get_by_role("button", name="Send").click()
    dialog.get_by_text("Please fill this in.").wait_for()
    dialog.get_by_label("What happened").fill("no")
    dialog.get_by_role("button", name="Send").click()
    dialog.get_by_text("Say a little more.").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    dialog.get_by_label("What happened").fill("disks are full")
    dialog.get_by_label("Severity").select_option(label="SEV1")
    dialog.get_by_label("Status page").check()
    dialog.get_by_role("button", name="Send").click()
    dialog.wait_for(state="detached")
    page.locator("#messages").get_by_text("disks are full (sev1)").wait_for()


def test_escape_closes_a_modal_and_a_dangerous_button_asks_first(open_page, there):
    ts = incident(there, "close the form")
    page = open_page()
    message(page, ts).get_by_role("button", name="Update").click()
    page.locator("dialog.view[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.view").wait_for(state="detached")
    message(page, ts).get_by_role("button", name="Resolve").click()
    page.get_by_role("button", name="Keep open").click()
    assert message(page, ts).get_by_text("1 reply").count() == 0
    message(page, ts).get_by_role("button", name="Resolve").click()
    page.locator("dialog.confirm").get_by_role("button", name="Resolve").click()
    message(page, ts).get_by_text("1 reply").wait_for()


def test_slash_commands_complete_from_the_bots_own_list(open_page):
    page = open_page()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "box"
    page.keyboard.type("captain inc")
    wanted = ["/captain incident open SEV SERVICE SUMMARY", "/captain incident list"]
    # The bot's own list may come a moment after the first suggestions, and the options are then drawn anew.
    until(lambda: page.locator(".completion [role=option] code").all_inner_texts() == wanted)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.locator("#box").input_value() == "/captain incident list"
    page.keyboard.press("Enter")
    page.get_by_text("Only visible to you").last.wait_for()
    page.get_by_text("You asked for incident list").last.wait_for()


def test_a_private_answer_is_its_askers_alone(open_page, there):
    there.act("say", {"channel": "#incidents", "text": "/captain secret of bob", "user": "bob"})
    page = open_page()
    assert page.locator("#messages").get_by_text("secret of bob").count() == 0
    page.get_by_label("Acting as").select_option(label="Bob")
    page.locator("#messages").get_by_text("secret of bob").wait_for()


def test_a_refused_message_is_not_lost(open_page, there):
    page = open_page()
    there.act("kill", {"seconds": 1.5})
    page.get_by_text("Bot is down").wait_for()
    page.locator("#box").fill("/captain hello out there")
    page.keyboard.press("Enter")
    page.locator("#told").get_by_text("The bot is not connected to Slack").wait_for()
    assert page.locator("#box").input_value() == "/captain hello out there"
    page.get_by_text("Bot is up").wait_for()
    until(lambda: there.state()["slack"]["sockets"])


def test_unread_messages_are_counted_until_they_are_seen(open_page, there):
    page = open_page()
    there.act("say", {"channel": "#gateway", "text": "psst", "user": "carol"})
    row = page.locator("#rail .channel", has_text="gateway")
    row.locator(".count").wait_for()
    row.click()
    page.locator("#messages").get_by_text("psst").wait_for()
    page.locator("#rail .channel", has_text="incidents").click()
    assert row.locator(".count").count() == 0


def test_home_shows_what_the_bot_published(open_page):
    page = open_page()
    page.locator("#rail .channel", has_text="Home").click()
    page.get_by_text("One incident is open.").wait_for()
    page.get_by_role("button", name="Open form").click()
    page.locator("dialog.view[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.view").wait_for(state="detached")


def test_the_world_is_broken_and_mended(open_page, there):
    page = open_page()
    page.get_by_label("For how long").select_option(label="30 s")
    page.get_by_role("button", name="Jira 429").click()
    page.get_by_role("button", name="Mend Jira").wait_for()
    assert there.state()["world"]["faults"]["jira"][0]["mode"] == "429"
    assert re.search(r"429 \d+ s", page.locator(".turn", has_text="Jira").inner_text())
    page.get_by_role("button", name="Mend Jira").click()
    page.get_by_role("button", name="Mend Jira").wait_for(state="detached")
    assert there.state()["world"]["faults"]["jira"] == []
    assert page.evaluate("document.activeElement.closest('.turn') !== null")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_trouble_is_made_and_ended(open_page, there, width, scheme):
    page = open_page(width=width, scheme=scheme)
    if width < 500:
        page.locator("#places").get_by_role("button", name="World").click()
    page.get_by_label("Which trouble").select_option(label="the cache is cold")
    page.get_by_role("button", name="Make it").click()
    end = page.get_by_role("button", name="End: the cache is cold")
    end.wait_for()
    assert [row["name"] for row in there.state()["world"]["troubles"] if row["on"]] == ["cache-cold"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    end.click()
    end.wait_for(state="detached")
    assert not any(row["on"] for row in there.state()["world"]["troubles"])
    assert page.evaluate("document.activeElement.textContent") == "Make it"


def test_a_burn_is_fired_and_followed_through_the_panels(open_page, there):
    page, burn = open_page(), "docs-api burns its 99.9% budget 14.4 times too fast"
    page.locator(".turn", has_text="docs-api").get_by_role("button", name="Fast burn").click()
    page.get_by_role("button", name="End the burn of docs-api").wait_for()
    page.locator("#told").get_by_text("Watch #docs-api").wait_for()
    page.get_by_role("tab", name="PagerDuty").click()
    page.locator("#panel .card", has_text=burn).first.get_by_role("button", name="Acknowledge as alice").click()
    page.locator("#panel .card", has_text=burn).first.get_by_text("acknowledged", exact=True).wait_for()
    page.get_by_role("tab", name="Jira").click()
    ticket = page.locator("#panel .card", has_text=burn).first
    ticket.get_by_role("button", name="In Progress").click()
    ticket.locator(".tag", has_text="In Progress").wait_for()
    page.get_by_role("tab", name="Kubernetes").click()
    page.get_by_label("Filter objects").fill("deployment prod/gate")
    page.locator("#panel details").filter(has_text="gateway").first.click()
    page.get_by_text("kind: Deployment").wait_for()
    page.get_by_role("tab", name="Calls").click()
    page.locator("#panel .call", has_text="/v2/enqueue").first.wait_for()
    there.act("calm", {"service": "docs-api"})


def test_a_deploy_is_made_from_the_page_and_its_version_shown(open_page, there):
    page = open_page()
    card = page.locator("#w-deploys").locator("xpath=..")
    turn = card.locator(".turn", has_text="docs-api")
    before = turn.locator("code").inner_text()
    turn.get_by_role("button", name="Deploy", exact=True).click()
    page.locator("#told").get_by_text("Watch #docs-api").wait_for()
    until(lambda: turn.locator("code").inner_text() != before)
    turn.get_by_role("button", name="Bad deploy").click()
    until(lambda: there.state()["prometheus"]["services"]["docs-api"]["errors"] > 0.01)
    there.act("deploy", {"service": "docs-api"})


def test_the_kubernetes_panel_shows_what_is_switched_on(open_page, sandbox):
    cluster = KubernetesClient(KubernetesSettings(url=f"{sandbox.url}/kubernetes"))
    flags = ObjectRef("v1", "configmaps", "gateway-flags", "prod")
    mark = {"release-captain/flag.gateway-bypass": Mark("u1", 1_800_000_000, "false", "alice").text()}
    cluster.apply(flags, {"kind": "ConfigMap", "metadata": {"annotations": mark}}, part="page")
    page = open_page()
    page.get_by_role("tab", name="Kubernetes").click()
    shown = page.locator("#panel details", has_text="gateway-flags").first
    shown.locator(".tag", has_text="gateway-bypass on until").wait_for()
    cluster.apply(flags, {"kind": "ConfigMap"}, part="page")
    shown.locator(".tag", has_text="gateway-bypass on until").wait_for(state="detached")
    cluster.close()


def test_the_bot_is_killed_from_the_page(open_page, there):
    pid = there.state()["bot"]["pid"]
    page = open_page()
    page.get_by_role("button", name="kill -9", exact=True).click()
    until(lambda: there.state()["bot"]["state"] == "ready" and there.state()["bot"]["pid"] != pid)
    page.locator(".bot-line").get_by_text("killed by SIGKILL").wait_for()
    until(lambda: there.state()["slack"]["sockets"])


def test_one_can_edit_react_to_and_delete_ones_own_message(open_page, there):
    said = there.act("say", {"channel": "#incidents", "text": "a tpyo"})
    page = open_page()
    mine = message(page, said["ts"])
    mine.hover()
    mine.get_by_role("button", name="React with +1").click()
    mine.locator(".reaction.mine").wait_for()
    mine.hover()
    mine.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit the message").fill("a typo")
    page.keyboard.press("Enter")
    mine.get_by_text("(edited)").wait_for()
    mine.hover()
    mine.get_by_role("button", name="Delete").click()
    page.locator("dialog.confirm").get_by_role("button", name="Delete").click()
    mine.wait_for(state="detached")


def test_a_message_can_be_marked_for_the_timeline_and_pinned(open_page, there):
    said = there.act("say", {"channel": "#incidents", "text": "the index is gone", "user": "bob"})
    page = open_page()
    shown = message(page, said["ts"])
    shown.hover()
    shown.get_by_role("button", name="React with pushpin").click()
    shown.locator(".reaction.mine").wait_for()
    shown.hover()
    shown.get_by_role("button", name="Pin to the channel").click()
    shown.get_by_text("pinned").wait_for()
    shown.hover()
    shown.get_by_role("button", name="Unpin").click()
    until(lambda: not there.state()["slack"]["messages"][-1]["pinned"])


def test_everything_on_the_way_of_an_incident_works_by_keyboard(open_page, there):
    ts = incident(there, "no mouse today")
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Messages"
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.locator("#box").fill("")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.matches('#messages > .message')")
    while page.evaluate("document.activeElement.dataset.ts") != ts:
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.locator("#thread-box").wait_for()
    page.locator("#thread-box:focus").wait_for()
    page.keyboard.type("typed blind")
    page.keyboard.press("Enter")
    page.locator("#thread .replies").get_by_text("typed blind").wait_for()
    page.keyboard.press("Escape")
    page.locator(f'#messages .message[data-ts="{ts}"]:focus').wait_for()
    page.keyboard.press("Alt+ArrowUp")
    page.locator("#chat-head", has_text="#general").wait_for()
    page.locator("#tab-world").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#tab-pagerduty:focus").wait_for()
    page.locator("#tab-pagerduty[aria-selected=true]").wait_for()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read_everywhere(open_page, there, width, height, scheme):
    incident(
        there, f"a rather long summary that has to fit into {width} pixels in the {scheme} without scrolling sideways"
    )
    page = open_page(width, height, scheme)
    page.locator("#messages .message").last.wait_for()
    places = ["rail", "chat", "side"] if width < 800 else ["all"]
    for place in places:
        if place != "all":
            page.locator("#places button").nth(places.index(place)).click()
        for tab in ("world", "pagerduty", "jira", "kubernetes", "calls") if place in ("side", "all") else ("",):
            if tab:
                page.locator(f"#tab-{tab}").click()
                page.locator("#panel > *").first.wait_for()
            assert overflow(page) <= 0
            assert page.evaluate(CONTRAST) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 27)"
    assert dark is (scheme == "dark")


def test_the_theme_is_chosen_and_remembered(open_page):
    page = open_page()
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 27)"
    page.reload()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 27)"


# WCAG AA for every visible piece of text: its colour on the first opaque ground behind it. Disabled controls are exempt.
CONTRAST = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (el) => { for (let at = el; at; at = at.parentElement) { const c = rgba(getComputedStyle(at).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
  const bad = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !el.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || el.closest(":disabled, option, .unseen, .skips, noscript, .emoji")) continue;
    const style = getComputedStyle(el);
    const [a, b] = [light(rgba(style.color)), light(ground(el))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.add(`${el.className || el.tagName}: ${walk.currentNode.data.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return [...bad];
}"""
