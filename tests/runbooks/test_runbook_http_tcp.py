"""The http and tcp kinds against servers that answer, err, drip, redirect and hang."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from bot.errors import ConfigError
from bot.standin import serve
from runbooks import Outcome

FREE = 9  # the discard port: nobody listens on it here


async def health(request):
    seen = {
        "got": request.method,
        "key": request.headers.get("x-key", ""),
        "auth": request.headers.get("authorization", ""),
    }
    body = {"status": "ok", "items": [{"n": 1}, {"n": None}], "deep": {"grüße": "🚀"}, **seen}
    return JSONResponse(body, headers={"X-Version": "v1.2.3"})


async def echo(request):
    return PlainTextResponse(f"key={request.headers.get('x-key', '')} body={(await request.body()).decode()}", 418)


async def code(request):
    return PlainTextResponse("no luck\n" * 50, int(request.path_params["code"]))


async def onward(request):
    return RedirectResponse(request.query_params["to"], int(request.query_params.get("code", 302)))


async def circle(request):
    return RedirectResponse("/circle")


async def huge(request):
    async def parts():
        for _ in range(100):
            yield b'"' + b"x" * 65_536

    return StreamingResponse(parts())


async def drip(request):
    async def parts():
        while True:
            yield b"."
            await asyncio.sleep(0.05)

    return StreamingResponse(parts())


async def slow(request):
    await asyncio.sleep(0.3)
    return PlainTextResponse("late")


async def unjust(request):
    return PlainTextResponse(
        {"nan": '{"lag": NaN}', "inf": '{"lag": Infinity}', "far": '{"lag": 1e999}'}[request.path_params["what"]]
    )


async def hang(request):
    await asyncio.sleep(5)


ROUTES = {"/health": health, "/echo": echo, "/code/{code}": code, "/onward": onward, "/circle": circle, "/huge": huge,
          "/drip": drip, "/slow": slow, "/hang": hang, "/unjust/{what}": unjust}  # fmt: skip


@pytest.fixture
def url(behind):
    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    return behind(Starlette(routes=[Route(path, endpoint, methods=methods) for path, endpoint in ROUTES.items()]))


@pytest.fixture
def http(one, url):
    def look(path, more="", **how):
        return one(f"kind: http\nurl: {url if path.startswith('/') else ''}{path}\n{more}", **how)

    return look


@pytest.mark.parametrize(
    ("path", "more", "outcome", "said"),
    [
        ("/health", "", "PASS", "answered 200"),
        ("/health", "status: 200\nmethod: HEAD", "PASS", "answered 200"),
        (
            "/health",
            "status: [200, 204]\njson: {status: ok, items.0.n: 1, items.1.n: null, deep.grüße: 🚀, got: GET}",
            "PASS",
            "200",
        ),
        ("/health", "header: {x-version: '^v1[.]'}\nbody: '\"status\": ?\"ok\"'\nmax_latency_ms: 4000", "PASS", "ms"),
        ("/health", "json: {status: bad}", "FAIL", 'status is "ok"'),
        ("/health", "json: {items.0.n: 2}", "FAIL", "items.0.n is 1"),
        ("/health", "json: {items.7.n: 2}", "NO_DATA", "has no items.7.n"),
        ("/health", "json: {status.more: 2}", "NO_DATA", "has no status.more"),
        ("/health", "header: {x-version: '^v2'}", "FAIL", "x-version is 'v1.2.3'"),
        ("/health", "header: {x-none: '.'}", "FAIL", "x-none is missing"),
        ("/health", "body: nothing like it", "FAIL", "does not match"),
        ("/health", "status: 204", "FAIL", "answered 200"),
        ("/code/503", "", "FAIL", "answered 503: no luck no luck"),
        ("/code/503", "status: 503", "PASS", "503"),
        ("/code/404", "", "FAIL", "404"),
        ("/code/429", "", "INCONCLUSIVE", "429"),
        ("/code/429", "status: 429", "PASS", "429"),
        ("/code/200", "json: {a: 1}", "FAIL", "not JSON"),
        ("/echo", "method: POST\nsend_body: 'grüße'\nstatus: 418\nbody: body=grüße", "PASS", "418"),
        ("/onward?to=/health", "json: {got: GET}", "PASS", "200"),
        ("/onward?to=/health", "redirects: 0", "FAIL", "302"),
        ("/onward?to=/health", "redirects: 0\nstatus: 302", "PASS", "302"),
        ("/onward?to=/health&code=303", "method: POST\njson: {got: GET}", "PASS", "200"),
        ("/onward?to=/health&code=307", "method: POST\njson: {got: POST}", "PASS", "200"),
        ("/onward?to=ftp://x/", "", "ERROR", "cannot be asked"),
        ("/circle", "", "FAIL", "redirects without end"),
        ("/huge", "", "PASS", "200"),
        ("/huge", "json: {a: 1}", "ERROR", "too large"),
        ("/huge", "body: xxx", "PASS", "200"),
        ("/slow", "max_latency_ms: 100", "FAIL", "ms"),
        ("/slow", "max_latency_ms: 3000", "PASS", "ms"),
        ("http://127.0.0.1:9/", "", "FAIL", "does not answer: Connection refused"),
        ("http://no-such-host.invalid/", "", "ERROR", "does not resolve"),
        ("http://127.0.0.1:99999/", "", "ERROR", "cannot be asked"),
        ("/hang", "timeout: 0.3", "FAIL", "no answer within 0.3 s"),
        ("/drip", "timeout: 0.3", "FAIL", "no answer within 0.3 s"),
    ],
)
def test_http(http, path, more, outcome, said):
    result = http(path, more)
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail


def test_http_tells_value_and_threshold(http):
    result = http("/slow", "max_latency_ms: 100")
    assert float(result.value) >= 300
    assert (result.threshold, result.unit) == ("<= 100", "ms")
    assert (http("/code/503").value, http("/code/503", "status: [200, 201]").threshold) == ("503", "status 200, 201")


def test_http_certificate_that_nobody_trusts(one):
    """A server that speaks no TLS stands for every handshake that fails."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"this is no TLS at all")

        thread = threading.Thread(target=answer)
        thread.start()
        result = one(f"kind: http\nurl: https://127.0.0.1:{port}/")
        thread.join()
    assert result.outcome is Outcome.FAIL
    assert "TLS" in result.detail


def test_http_connection_that_breaks_off(one):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

        thread = threading.Thread(target=answer)
        thread.start()
        result = one(f"kind: http\nurl: http://127.0.0.1:{port}/")
        thread.join()
    assert result.outcome is Outcome.FAIL
    assert "broke off" in result.detail


def test_http_secret_headers_are_sent_and_never_told(http):
    environ = {"KEY": "k€y/with+signs"}
    result = http("/echo", 'send_headers: {X-Key: "env:TOKEN"}', environ={"TOKEN": "s3cr3t/value="})
    assert result.detail == "it answered 418: key=••• body="
    missing = http("/echo", 'send_headers: {X-Key: "env:TOKEN"}', environ=environ)
    assert missing.outcome is Outcome.ERROR
    assert "no TOKEN" in missing.detail
    bearer = http(
        "/health",
        'send_headers: {Authorization: "Bearer env:TOKEN"}\njson: {auth: x}',
        environ={"TOKEN": "s3cr3t-value"},
    )
    assert bearer.value == '"Bearer •••"'
    bad = http("/health", 'send_headers: {X-Key: "env:TOKEN"}', environ={"TOKEN": "line\nbreak-secret"})
    assert bad.outcome is Outcome.ERROR
    assert "break-secret" not in bad.detail


def test_http_secret_from_a_file(http, tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    result = http("/health", f'send_headers: {{X-Key: "file:{tmp_path}/token"}}\njson: {{key: x}}')
    assert result.value == '"•••"'
    gone = http("/health", f'send_headers: {{X-Key: "file:{tmp_path}/none"}}')
    assert gone.outcome is Outcome.ERROR
    assert "cannot be read" in gone.detail


def test_http_secrets_do_not_follow_a_redirect_to_another_host(http, url):
    other = serve(Starlette(routes=[Route("/echo", echo)]))
    try:
        same = http(f"/onward?to={url}/echo", 'send_headers: {X-Key: "env:TOKEN"}', environ={"TOKEN": "s3cret-value"})
        away = http(
            f"/onward?to={other.url}/echo", 'send_headers: {X-Key: "env:TOKEN"}', environ={"TOKEN": "s3cret-value"}
        )
    finally:
        other.stop()
    assert same.detail == "it answered 418: key=••• body="
    assert away.detail == "it answered 418: key= body="


def test_http_parameters_stay_within_their_part_of_the_address(http, one, url):
    result = one(
        "kind: http\nurl: '{{base}}/code/{{code}}'", parameters={"base": "http://x", "code": "200"},
        given={"base": url, "code": "../health?x=#"},
    )  # fmt: skip
    assert result.outcome is Outcome.FAIL
    assert result.value == "404"
    assert (
        one(
            "kind: http\nurl: '{{base}}/health'", parameters={"base": "http://x"}, given={"base": "file:///etc/passwd"}
        ).outcome
        is Outcome.ERROR
    )


def test_tcp(one):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = one(f"kind: tcp\nhost: 127.0.0.1\nport: {port}")
        assert (result.outcome, result.unit) == (Outcome.PASS, "ms")
        late = one(f"kind: tcp\nhost: 127.0.0.1\nport: {port}\nmax_latency_ms: 0.0001")
        assert (late.outcome, late.threshold) == (Outcome.FAIL, "<= 0.0001")
    closed = one(f"kind: tcp\nhost: 127.0.0.1\nport: {FREE}")
    assert closed.outcome is Outcome.FAIL
    assert "refused" in closed.detail
    nobody = one("kind: tcp\nhost: no-such-host.invalid\nport: 1")
    assert nobody.outcome is Outcome.ERROR
    assert "does not resolve" in nobody.detail


def test_tcp_that_never_accepts_ends_at_the_timeout(one):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        held = []
        for _ in range(3):  # fill its queue
            peer = socket.socket()
            peer.setblocking(False)
            peer.connect_ex(("127.0.0.1", port))
            held.append(peer)
        began = time.monotonic()
        result = one(f"kind: tcp\nhost: 127.0.0.1\nport: {port}\ntimeout: 0.3")
        for peer in held:
            peer.close()
    assert result.outcome is Outcome.FAIL
    assert "within 0.3 s" in result.detail
    assert time.monotonic() - began < 1.5


def test_masking_knows_base64_and_percent_encoding_wherever_the_secret_stands():
    from urllib.parse import quote

    from runbooks.secret_refs import Secrets

    secret = "p@ss word/+=ünï"
    for lead in ("", "u", "us", "user:"):
        for tail in ("", "!", "and more"):
            secrets = Secrets({"S": secret})
            secrets.resolve("env:S")
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                text = encode((lead + secret + tail).encode()).decode()
                masked = secrets.mask(f"x {text} y {quote(secret)} z {secret}")
                assert masked.count("•••") == 3, (lead, tail, masked)
                core = encode(secret.encode()).decode()
                assert core[4:12] not in masked or lead


def test_a_limit_that_is_no_number_holds_nothing_back_and_is_refused(http):
    got = http("/health", 'max_latency_ms: "{{most}}"', parameters={"most": "500"}, given={"most": "nan"})
    assert got.outcome is Outcome.ERROR
    assert "must be a number, not 'nan'" in got.detail


@pytest.mark.parametrize("wanted", ["{'!=': 0}", "{'>=': 3}"])
@pytest.mark.parametrize("what", ["nan", "inf"])
def test_nan_and_infinity_are_no_json_and_pass_no_comparison(http, what, wanted):
    got = http(f"/unjust/{what}", f"json: {{lag: {wanted}}}")
    assert (got.outcome, "not JSON" in got.detail) == (Outcome.FAIL, True)


def test_a_json_number_too_large_to_be_one_passes_no_comparison(http):
    assert http("/unjust/far", "json: {lag: {'>=': 3}}").outcome is Outcome.FAIL


def test_exists_in_quotes_is_a_mistake_and_no_truth(http):
    with pytest.raises(ConfigError, match="exists: is true or false"):
        http("/health", "json: {status: {exists: 'false'}}")
    got = http("/health", "json: {status: {exists: '{{x}}'}}", parameters={"x": None}, given={"x": "false"})
    assert got.outcome is Outcome.ERROR


PATTERNS = [
    "body: 'status.{1,5}{{v}}'",
    "header: {x-version: '^{{v}}$'}",
    "json: {status: {matches: '{{v}}'}}",
]


@pytest.mark.parametrize("more", PATTERNS)
def test_a_parameter_within_a_pattern_is_looked_for_as_it_is(http, more):
    for value in (".*", "x|", "(a+)+$"):
        assert http("/health", more, parameters={"v": "1"}, given={"v": value}).outcome is Outcome.FAIL
    right = "v1.2.3" if "header" in more else "ok"
    assert http("/health", more, parameters={"v": "1"}, given={"v": right}).outcome is Outcome.PASS


def test_a_path_that_is_called_matches_is_compared_and_not_searched(http):
    got = http("/health", "json: {matches: '{{v}}'}", parameters={"v": "a.b"})
    assert (got.outcome, got.threshold) == (Outcome.NO_DATA, 'matches == "a.b"')


@pytest.mark.parametrize(
    "field", ["body: '{{v}}'", "header: {x-version: '{{v}}'}", "json: {status: {matches: '{{v}}'}}"]
)
def test_a_pattern_that_becomes_empty_is_found_in_everything_and_passes_nothing(http, field):
    got = http("/health", field, parameters={"v": "ok"}, given={"v": ""})
    assert (got.outcome, "is empty" in got.detail) == (Outcome.ERROR, True)


def test_a_server_is_not_to_blame_when_the_runbook_had_no_time_left_for_it(http):
    got = http("/hang", "timeout: 4", deadline_s=0.3)
    assert (got.outcome, got.detail[:36]) == (Outcome.ERROR, "the runbook's time was up while it l")
    assert http("/hang", "timeout: 0.2", deadline_s=3).outcome is Outcome.FAIL
