"""The waiting the tests stand on: it returns what came true, and says what did not."""

from __future__ import annotations

import socket

import pytest
from ground.waiting import free_port, until


def test_what_came_true_is_given_back():
    answers = iter([0, "", [], "there"])
    assert until(lambda: next(answers), every=0.001) == "there"


def test_an_assertion_is_not_yet():
    answers = iter([1, 2, 3])

    def three() -> bool:
        found = next(answers)
        assert found == 3, f"only {found}"
        return True

    assert until(three, every=0.001)


def test_what_never_comes_fails_with_the_sentence_and_the_last_answer():
    with pytest.raises(AssertionError, match=r"no page was sent within 0.01 s; the last answer was \[\]"):
        until(list, timeout=0.01, message="no page was sent", every=0.001)


def test_what_it_said_is_told():
    def never() -> bool:
        raise AssertionError("two pages")

    with pytest.raises(AssertionError, match="within 0 s; it said: two pages"):
        until(never, timeout=0)


def test_another_error_is_not_waited_for():
    with pytest.raises(KeyError):
        until(lambda: {}["missing"], timeout=5)


def test_a_free_port_can_be_bound():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free_port()))


def test_bodies_are_the_caller_s_own(alertmanager_body, slack_payloads):
    body = alertmanager_body("firing-single")
    assert body["version"] == "4"
    body["alerts"].clear()
    assert alertmanager_body("firing-single")["alerts"][0]["labels"]["alertname"] == "SLOBurnFast"
    assert len(alertmanager_body("group-of-60")["alerts"]) == 60
    assert alertmanager_body("resolved")["alerts"][0]["status"] == "resolved"
    assert slack_payloads("slash_commands")[0]["command"].startswith("/")
    assert [payload["type"] for payload in slack_payloads("interactive")] == ["block_actions", "block_actions"]
