"""One grammar for four doors: what a line means, and what is said when it means nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import grammar
from bot.errors import Refused
from handlers.incidents.rules import Severity
from handlers.subjects import SUBJECTS

KNOWN = grammar.commands(SUBJECTS)


def parsed(line: str):
    command, words, options = grammar.parse(KNOWN, line)
    return command.name, words, options


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("incident list", ("incident list", [], {})),
        ("Incident LIST --all", ("incident list", [], {"all_": True})),
        ("incident list —all", ("incident list", [], {"all_": True})),
        ("incident ack INC-7", ("incident ack", ["INC-7"], {})),
        ("why INC-7", ("why", ["INC-7"], {})),
        ("Why", ("why", [], {})),
        ('incident open sev2 docs-api "p95 up"', ("incident open", [Severity.SEV2, "docs-api", "p95 up"], {})),
        ("incident open SEV1 docs-api “p95 up”", ("incident open", [Severity.SEV1, "docs-api", "p95 up"], {})),
        ("incident open sev1 docs-api gateway's down", ("incident open", [Severity.SEV1, "docs-api", "gateway's", "down"], {})),
        ("incident open sev1 docs-api p95 — up", ("incident open", [Severity.SEV1, "docs-api", "p95", "—", "up"], {})),
        ("incident open sev1 docs-api -- --all", ("incident open", [Severity.SEV1, "docs-api", "--all"], {})),
        ("flag on gateway-bypass --for 30m it burns", ("flag on", ["gateway-bypass", "it", "burns"], {"for_": "30m"})),
        ("flag on gateway-bypass slow —for=1h", ("flag on", ["gateway-bypass", "slow"], {"for_": "1h"})),
        ("incident open sev1 docs-api שלום 🔥", ("incident open", [Severity.SEV1, "docs-api", "שלום", "🔥"], {})),
    ],
)  # fmt: skip
def test_lines_that_mean_something(line, meaning):
    assert parsed(line) == meaning


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "Say what to do"),
        ("incidnt list", "Did you mean 'incident'?"),
        ("incident", "`incident` wants a verb"),
        ("incident akc", "Did you mean 'ack'?"),
        ("incident open", "SEVERITY is missing. Usage: `incident open SEVERITY SERVICE TITLE… [--test] [--private]`"),
        ("incident open sev9 docs-api x", "SEVERITY cannot be 'sev9'. Use one of: sev1, sev2, sev3."),
        ("incident list --al", "has no option --al. Did you mean '--all'?"),
        ("flag on gateway-bypass", "--for is missing. Usage: `flag on NAME REASON… --for DURATION`"),
        ("flag extend gateway-bypass --for", "--for wants a value. Usage: `flag extend NAME --for DURATION`"),
        ("incident ack 7 8", "I do not know what to do with '8'"),
        ("incident open sev1 docs-api " + "x" * 9000, "at most 8000 can be read"),
    ],
)
def test_lines_that_mean_nothing_say_what_to_do(line, said):
    with pytest.raises(Refused) as caught:
        grammar.parse(KNOWN, line)
    assert said in str(caught.value)


def alone(_desk, _asker, *what: str, deep: bool = False) -> grammar.Reply:
    """Do it."""


def again(_desk, _asker, how: str) -> grammar.Reply:
    """Do it again."""


def with_alone():
    return KNOWN | grammar.commands({"look": {"": alone, "again": again}, "ask": {"": alone}})


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("ask", ("ask", [], {})),
        ("ASK a 'b c' --deep", ("ask", ["a", "b c"], {"deep": True})),
        ("ask ''", ("ask", [""], {})),
        ("ask ask", ("ask", ["ask"], {})),
        ("look", ("look", [], {})),
        ("look at", ("look", ["at"], {})),
        ("look Again so", ("look again", ["so"], {})),
    ],
)
def test_a_subject_may_be_one_command_without_a_verb(line, meaning):
    command, words, options = grammar.parse(with_alone(), line)
    assert (command.name, words, options) == meaning


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ask --dep", "`ask` has no option --dep. Did you mean '--deep'?"),
        ("look again", "HOW is missing. Usage: `look again HOW`"),
        ("incident", "`incident` wants a verb"),
        ("", "Say what to do; `help` lists what there is."),
    ],
)
def test_a_subject_without_a_verb_says_what_to_do(line, said):
    with pytest.raises(Refused) as caught:
        grammar.parse(with_alone(), line)
    assert said in str(caught.value)


def test_help_shows_a_subject_without_a_verb_as_it_is_said():
    assert "`/captain ask WHAT… [--deep]` Do it." in grammar.help_text(with_alone(), "ask")


@given(st.text(max_size=300))
def test_any_line_is_understood_or_refused(line):
    """Nothing a person types breaks the bot."""
    try:
        grammar.parse(KNOWN, line)
    except Refused as e:
        assert str(e)


@given(st.text(max_size=200))
def test_a_title_survives_quoting(title):
    quoted = '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
    words = grammar.split(f"incident open sev1 docs-api {quoted}")
    plain = grammar.plain("".join(grammar._unfancy(title, i, ch) for i, ch in enumerate(title)))
    assert " ".join(words[4:]).split() == plain.split() or '"' in plain or "\\" in plain


def test_help_has_a_sentence_for_every_command():
    for command in KNOWN.values():
        assert command.help.endswith("."), command.usage
        assert command.usage in grammar.help_text(KNOWN)
