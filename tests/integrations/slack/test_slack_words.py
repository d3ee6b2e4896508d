"""Text and blocks of any size come out as Slack takes them: held against the stand-in's own checks."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks, check_view, too_long, with_ids
from bot.integrations.slack.words import TEXT, clip, escape, first_words, fit, fit_view

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
LENGTHS = [0, 1, 74, 75, 76, 149, 150, 151, 1999, 2000, 2001, 2999, 3000, 3001, 9000]
PIECES = ["x", "é", "&amp;", "&lt;", "&gt;", "<@U123>", "<https://x.y|z>", "```", "\n", " ", "… "]


@st.composite
def words(draw):
    """Text around the lengths that matter, made of what must not be cut apart."""
    piece = draw(st.sampled_from(PIECES)) + draw(st.sampled_from(PIECES))
    length = draw(st.sampled_from(LENGTHS))
    return (piece * (length // len(piece) + 1))[:length] if length else ""


def texts(kind: str = "mrkdwn"):
    return st.builds(lambda text: {"type": kind, "text": text}, words())


plain = texts("plain_text")
options = st.lists(st.builds(lambda t, v: {"text": t, "value": v}, plain, words()), min_size=1, max_size=120)
ids = st.sampled_from(["", "a", "b", "c" * 300])


def elements():
    return st.one_of(
        st.builds(lambda t, v: {"type": "button", "text": t, "value": v}, plain, words()),
        st.builds(lambda o, p: {"type": "static_select", "options": o, "placeholder": p}, options, plain),
        st.builds(lambda o: {"type": "overflow", "options": o}, options),
        st.builds(lambda o: {"type": "checkboxes", "options": o, "initial_options": o[:1]}, options),
    )


blocks = st.one_of(
    st.builds(lambda t, b: {"type": "section", "text": t, "block_id": b}, texts(), ids),
    st.builds(lambda f: {"type": "section", "fields": f}, st.lists(texts(), min_size=1, max_size=14)),
    st.builds(lambda t, e: {"type": "section", "text": t, "accessory": e}, texts(), elements()),
    st.builds(lambda t: {"type": "header", "text": t}, plain),
    st.builds(lambda e: {"type": "context", "elements": e}, st.lists(texts(), max_size=14)),
    st.builds(lambda e: {"type": "actions", "elements": e}, st.lists(elements(), max_size=60)),
    st.builds(lambda a: {"type": "image", "image_url": "https://x/y", "alt_text": a}, words()),
    st.just({"type": "divider"}),
)


@FEW
@given(st.lists(blocks, max_size=8), st.integers(1, 9), words())
def test_whatever_comes_in_slack_takes_what_comes_out(some, times, text):
    fitted, said = fit(some * times, text)
    assert check_blocks(fitted) == []
    assert not too_long(with_ids(fitted))
    assert 0 < len(said) <= TEXT


@FEW
@given(st.lists(blocks, max_size=6), st.integers(1, 30))
def test_nothing_is_left_out_silently(some, times):
    everything, _ = fit(some * times, "x", total=None, most=100_000)
    for total in (None, 12_000):
        fitted, _ = fit(some * times, "x", total=total)
        if len(fitted) == len(everything):
            continue
        told = re.fullmatch(r"… (\d+) more", fitted[-1]["elements"][0]["text"])
        assert len(fitted) - 1 + int(told[1]) == len(everything)


@FEW
@given(st.lists(blocks, max_size=4), plain)
def test_views_fit_too(some, title):
    view = fit_view({"type": "modal", "title": title, "submit": title, "close": title, "blocks": some * 30})
    assert check_view(view) == []


@FEW
@given(st.lists(blocks, max_size=5))
def test_what_fits_is_left_alone_and_fitting_twice_changes_nothing(some):
    once, said = fit(some, "x")
    assert fit(once, said) == (once, said)
    if check_blocks(some) == [] and not too_long(some) and len(str(some)) < 9_000:
        assert once == [{k: v for k, v in block.items() if (k, v) != ("block_id", "")} for block in some]


@FEW
@given(st.text(), st.integers(2, 60))
def test_outside_text_survives_escaping_and_is_never_cut_inside_an_entity(text, most):
    assert html.unescape(escape(text)) == text
    cut = clip(escape(text), most)
    assert len(cut) <= most
    assert not re.search(r"<|>", cut)
    assert re.fullmatch(r"(?:[^&]|&amp;|&lt;|&gt;)*", cut, re.DOTALL)


@FEW
@given(words(), st.integers(5, 4000))
def test_a_cut_keeps_links_and_code_blocks_whole(text, most):
    cut = clip(text, most)
    assert len(cut) <= most
    if cut != text:
        assert "…" in cut[-4:]
        assert cut.count("```") % 2 == 0
        assert re.search(r"<[^<>]*\Z", cut) is None


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("a &amp; b", 6, "a…"),
        ("see <https://x.y|here> now", 12, "see…"),
        ("```code code```", 12, "```code…```"),
    ],
)
def test_cuts(text, most, cut):
    assert clip(text, most) == cut


def test_escaping_leaves_no_mention():
    assert escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


def test_the_first_words_stand_in_for_a_missing_text():
    assert first_words([{"type": "divider"}, {"type": "header", "text": {"type": "plain_text", "text": "Up"}}]) == "Up"
    assert first_words([]) == "…"


def test_a_long_row_of_buttons_becomes_two():
    row = [{"type": "button", "text": {"type": "plain_text", "text": str(n)}, "action_id": str(n)} for n in range(30)]
    fitted, _ = fit([{"type": "actions", "block_id": "row", "elements": row}], "x")
    assert [len(block["elements"]) for block in fitted] == [25, 5]
    assert fitted[0]["block_id"] == "row"


def test_sixty_blocks_become_fifty_and_say_so():
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    fitted, _ = fit([section] * 60, "x")
    assert len(fitted) == 50
    assert fitted[-1]["elements"][0]["text"] == "… 11 more"


def test_the_number_left_out_is_still_right_after_a_second_fitting():
    """Handlers may fit what the client fits again: the note near the limit must not count itself."""
    buttons = [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "value": "v" * 2000}] * 5
    wide = {"type": "actions", "elements": buttons}
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 150}}
    for length in range(700, 1700, 20):
        filler = {"type": "section", "text": {"type": "mrkdwn", "text": "y" * length}}
        once, said = fit([wide, filler, section, section, section], "x")
        assert fit(once, said) == (once, said)
