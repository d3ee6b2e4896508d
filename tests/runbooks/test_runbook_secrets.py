"""Secrets of runbooks: where they are found, and that none leaves in whatever clothes."""

from __future__ import annotations

import base64
import html
import json
import re
import textwrap
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.standin import CallLog
from runbooks import Looks, Outcome, load, run
from runbooks.secret_refs import MASK, Secrets, literal

PRINTED = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Zs", "Zl", "Zp"))
AROUND = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=10)
WORDS = st.text(PRINTED, min_size=9, max_size=60)


def known(value):
    secrets = Secrets({"S": value})
    assert secrets.resolve("env:S") == value
    return secrets


ENCODINGS = {
    "plain": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "percent": lambda s: quote(s, safe=""),
    "percent, slashes kept": quote,
    "form": quote_plus,
    "percent in small letters": lambda s: re.sub("%..", lambda found: found[0].lower(), quote(s, safe="")),
    "percent as browsers do": lambda s: quote(s, safe="!'()*"),
    "JSON": lambda s: json.dumps({"it": s}),
    "JSON as it is": lambda s: json.dumps({"it": s}, ensure_ascii=False),
    "JSON within JSON": lambda s: json.dumps({"it": json.dumps(s)}),
    "Python": lambda s: repr([s]),
    "HTML": html.escape,
    "hex": lambda s: s.encode().hex(),
    "hex in capitals": lambda s: s.encode().hex().upper(),
    "hex with colons": lambda s: s.encode().hex(":"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODINGS)
@given(secret=WORDS, before=AROUND, after=AROUND)
def test_a_secret_is_masked_however_it_is_encoded(name, secret, before, after):
    worn = ENCODINGS[name](secret)
    masked = known(secret).mask(f"{before}|{worn}|{after}")
    bare = worn.rstrip("=")
    core = bare.removeprefix('{"it": "').removesuffix('"}').removeprefix("['").removeprefix('["').removesuffix("']")
    core = core.removeprefix('\\"').removesuffix('\\"').removesuffix('"]')
    assert MASK in masked
    assert core not in masked


@given(
    secret=WORDS,
    width=st.integers(4, 30),
    indent=st.sampled_from(["", "  ", "\t"]),
    ends=st.sampled_from(["\n", "\r\n", "\\n", " / "]),
)
def test_a_secret_broken_over_lines_is_masked(secret, width, indent, ends):
    for worn in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
        parts = [worn[i : i + width] for i in range(0, len(worn), width)]
        masked = known(secret).mask("out: " + (ends + indent).join(parts) + " and more")
        assert MASK in masked
        assert masked.startswith("out: ")
        assert masked.endswith(" and more")
        assert all(
            part not in masked.removeprefix("out: ").removesuffix(" and more") for part in parts[:-1] if len(part) > 3
        )


@given(secret=WORDS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_a_secret_within_a_longer_base64_text_is_masked(secret, before, after):
    text = base64.b64encode(before + secret.encode() + after).decode()
    assert MASK in known(secret).mask(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t\r"), max_size=200))
def test_what_holds_no_secret_stays_as_it_is(text):
    assert known("correct horse battery staple").mask(text) == text


@given(st.text(st.characters(), max_size=50), st.lists(st.sampled_from("\0\x1b\ud800\x7f\b"), max_size=5))
def test_what_no_database_and_no_terminal_should_get_is_taken_out(text, signs):
    masked = known("correct horse battery staple").mask(text + "".join(signs) + text)
    masked.encode()
    assert not set(masked) & set("\0\x1b\x7f\b")


def test_masking_takes_no_time_to_speak_of():
    secrets = known("correct horse battery staple")
    for text in (" " * 200_000 + "\n", "\t /" * 50_000, "\n" * 200_000, "a" * 200_000 + "\n"):
        began = time.process_time()
        assert secrets.mask(text) == text
        assert time.process_time() - began < 2


def test_a_secret_of_many_lines_is_masked_line_by_line():
    secret = "-----BEGIN KEY-----\nabcdefghijklmnop\nqrstuvwxyz123456\n-----END KEY-----"
    masked = known(secret).mask("it said qrstuvwxyz123456, and " + textwrap.indent(secret, "   "))
    assert "qrst" not in masked
    assert "abcdef" not in masked


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("xoxb-123456789012-abcdefABCDEF", "a Slack token"),
        ("curl -H 'Authorization: Bearer abcdef1234567890abcdef' x", "a bearer token"),
        ("Basic dXNlcjpwYXNzd29yZA==", "a user and password"),
        ("ghp_abcdefghijklmnopqrst123456", "a GitHub token"),
        ("AKIAIOSFODNN7EXAMPLE", "an AWS key"),
        ("postgresql://me:hunter22@db/x", "a password in an address"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "a JSON web token"),
        ({"X": ["a", {"y": "glpat-abcdefghijklmnop1234"}]}, "a GitLab token"),
        ("Bearer env:TOKEN", ""),
        ("the bearer authentication-is-wanted", ""),
        ("basic authentication", ""),
        ("postgresql://me@db/x", ""),
        ("postgresql://me:${PASSWORD}@db/x", ""),
        ("http://x/a:b@c", ""),
        (17, ""),
    ],
)
def test_what_looks_like_a_secret(text, what):
    assert literal(text) == what


def test_a_secret_in_the_file_is_refused_with_its_line(written):
    path = written(
        """
        checks:
          - name: a
            kind: http
            url: http://x/
            send_headers: {Authorization: Bearer 0123456789abcdef0123}
        """
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert f"{path}:5: send_headers seems to hold a bearer token; refer to it: env:NAME" in str(caught.value)
    assert "0123456789" not in str(caught.value)


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "probe", "namespace": "prod"},
    "data": {
        "token": base64.b64encode(b"from-the-cluster\n").decode(),
        "picture": base64.b64encode(b"\xff\xfe\xff\xfe").decode(),
    },
}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("secret:prod/probe/token", ""),
        ("Bearer secret:prod/probe/token", ""),
        ("secret:prod/probe/none", "has no key none; it has picture, token"),
        ("secret:prod/probe/picture", "holds no text"),
        ("secret:prod/nobody/token", "there is no Secret nobody in the namespace prod"),
        ("secret:prod/probe", "must be secret:NAMESPACE/NAME/KEY"),
    ],
)  # fmt: skip
def test_a_secret_of_the_cluster(one, behind, reference, said):
    fake = FakeKubernetes(CallLog())
    fake.put(SECRET)
    client = KubernetesClient(KubernetesSettings(url=behind(fake.app), timeout=5))
    try:
        result = one(
            f"command: ['sh', '-c', 'echo $T | tr a-z A-Z; echo $T']\nenv: {{T: '{reference}'}}", Looks(cluster=client)
        )
    finally:
        client.close()
    if said:
        assert result.outcome is Outcome.ERROR
        assert said in result.detail
    else:
        assert result.outcome is Outcome.PASS
        assert "from-the-cluster" not in result.detail
        assert MASK in result.detail


def test_a_secret_of_the_cluster_without_a_cluster(one):
    result = one("command: ['true']\nenv: {T: 'secret:prod/probe/token'}")
    assert result.outcome is Outcome.ERROR
    assert "needs Kubernetes: add a kubernetes: section" in result.detail


LINE = "command: 'echo cannot log in with $API_TOKEN; exit 1'"


def test_what_a_shell_line_prints_of_a_variable_that_is_called_a_secret_is_masked(one):
    result = one(LINE, environ={"API_TOKEN": "s3cr3t-value-9", "PATH": "/usr/bin:/bin"})
    assert (result.outcome, result.detail) == (Outcome.FAIL, f"exit 1. cannot log in with {MASK}")


def test_what_an_ordinary_variable_holds_is_told(one):
    result = one(LINE.replace("API_TOKEN", "BASE"), environ={"BASE": "https://docs.example", "PATH": "/usr/bin:/bin"})
    assert "https://docs.example" in result.detail


@pytest.mark.parametrize("base", ["http://bob:hunter2@nosuch.invalid", "http://bob:hun@ter2@127.0.0.1:99999"])
def test_the_password_of_an_address_shows_up_nowhere(one, base):
    result = one("kind: http\nurl: '{{base}}/x'\nhint: see {{base}}", parameters={"base": None}, given={"base": base})
    assert result.outcome is Outcome.ERROR
    assert "ter2" not in str(result)


def test_a_password_that_was_sent_in_base64_is_masked_by_itself():
    secrets = Secrets({"L": base64.b64encode(b"bob:hunter2-long").decode()})
    secrets.resolve("Basic env:L")
    assert secrets.mask("no user bob with hunter2-long") == f"no user bob with {MASK}"


@pytest.mark.parametrize(
    "address",
    [
        "host=127.0.0.1 port=1 user=bob password=Hunter2-Long",
        "postgresql://127.0.0.1:1/x?user=bob&password=Hunter2%2zLong",
        "postgresql://127.0.0.1:1/x?user=bob&password=Hunter2-Long&application_name=Hunter2-Long&bogus=Hunter2-Long",
        "Hunter2-Long",
    ],
)
def test_no_part_of_a_database_address_is_told(one, address):
    result = one("kind: sql\ndatabase: env:DB\nquery: select 1\nthreshold: 2", environ={"DB": address})
    assert result.outcome is Outcome.ERROR
    assert "hunter2" not in str(result).lower()


@pytest.mark.parametrize(
    "text",
    [
        "kind: http\nurl: http://127.0.0.1:9/\nsend_headers: {X-Key: '{{v}}'}",
        "kind: http\nurl: http://127.0.0.1:9/\nsend_headers: {X-Key: 'Bearer {{v}}'}",
        "command: echo $T\nenv: {T: '{{v}}'}",
        "kind: sql\ndatabase: '{{v}}'\nquery: select 1\nthreshold: 1",
    ],
)
def test_whoever_gives_a_parameter_does_not_choose_which_secret_is_read(one, text):
    for value in ("env:SLACK_BOT_TOKEN", "file:/etc/passwd", "secret:kube-system/a/b"):
        result = one(
            text, parameters={"v": None}, given={"v": value}, environ={"SLACK_BOT_TOKEN": "xoxb-nothing-really"}
        )
        assert (result.outcome, "would become a reference" in result.detail) == (Outcome.ERROR, True), result.detail


def test_the_variables_of_a_whole_runbook_take_no_reference_from_a_parameter(written):
    path = written("parameters: {v: }\nenv: {T: '{{v}}'}\nchecks:\n- {name: it, command: echo $T}\n")
    report = run(load(path), {"v": "file:/etc/hostname"}, Looks())
    assert "would become a reference" in report.results[0].detail


def test_a_reference_may_have_a_parameter_within(one):
    text = "command: test -n \"$T\"\nenv: {T: 'env:TOKEN_{{v}}'}"
    environ = {"TOKEN_A": "a long secret", "PATH": "/usr/bin:/bin"}
    assert one(text, parameters={"v": "A"}, environ=environ).outcome is Outcome.PASS
