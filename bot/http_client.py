"""What the clients of outside services share over HTTP: one attempt, one deadline, and each failure as what happens next."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Timeout
from urllib3.util.retry import Retry as Retries

from bot.errors import GiveUp, Retry

MAX_BODY = 32 * 1024 * 1024
NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


class Bearer(requests.auth.AuthBase):
    """Sets the token as auth, so that a .netrc of the machine cannot put another in its place; "" sends none."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Got:
    """An answer, whatever its status, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reader:
    """Reads from a service that a call cannot change, so that a lost answer is never unknown.

    ``name``: the service in a sentence. ``setting``: where its address stands in captain.yml.
    ``timeout``: seconds a call takes at most. ``smaller``: what to do about an answer larger than MAX_BODY.
    """

    name: str
    setting: str
    timeout: float
    smaller: str = ""

    def call(self, session: requests.Session, method: str, url: str, **asked: Any) -> Got:
        """One request; ``asked`` as ``requests`` takes it. Raises Retry without an answer, GiveUp without an address."""
        deadline = time.monotonic() + self.timeout
        try:
            with session.request(method, url, timeout=self.timeout, stream=True, **asked) as response:
                return Got(response.status_code, response.headers, self._body(response, deadline))
        except NO_ADDRESS as e:
            raise GiveUp(f"{self.setting} is not an address that can be called: {e}") from e
        except requests.exceptions.Timeout as e:
            raise Retry(f"{self.name} did not answer within {self.timeout:g} s") from e
        except (requests.exceptions.RequestException, HTTPError, OSError) as e:
            raise Retry(f"{self.name} cannot be reached: {_cause(e)}") from e

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The whole body by the deadline, however slowly it drips."""
        parts: list[bytes] = []
        size = 0
        while part := response.raw.read1(65_536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise GiveUp(f"{self.name} answered with more than {MAX_BODY // 1024**2} MB{self.smaller}")
            if time.monotonic() > deadline:
                raise Retry(f"{self.name} did not finish its answer within {self.timeout:g} s")
        return b"".join(parts)


def act(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float, name: str, setting: str
) -> Got:
    """One request that may change something, without redirects; the first 4 kB of its answer, whatever the status.

    ``timeout``: seconds for all of it. Raises Retry (``unknown`` when it may have acted) or GiveUp for no address.
    """
    deadline = time.monotonic() + timeout
    try:
        with requests.Session() as session:
            session.auth = Bearer("")  # or a .netrc of the machine would add its own
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=no_retries()))
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=no_retries()))
            # In all, not each of connecting and answering: whoever undoes it waits for just that long.
            asked: dict[str, Any] = {
                "headers": dict(headers),
                "data": body,
                "timeout": Timeout(total=timeout),
                "stream": True,
            }
            with session.request(method, url, allow_redirects=False, **asked) as answer:
                text = b""
                while len(text) < 4096 and (part := answer.raw.read1(4096, decode_content=True)):
                    text += part
                    if time.monotonic() > deadline:
                        break  # the status has said what became of it
                return Got(answer.status_code, answer.headers, text[:4096])
    except (requests.exceptions.RequestException, HTTPError, OSError) as e:
        raise no_answer(e, name, setting, timeout) from e


def no_retries() -> Retries:
    """What switches urllib3's own repetitions off; read=False lets a timeout be told from a lost connection."""
    return Retries(total=0, read=False)


def no_answer(error: BaseException, name: str, settings: str, timeout: float) -> Retry | GiveUp:
    """What a request that may act has come to when nothing answered: unknown unless the connection was never made.

    ``settings``: where the address stands in captain.yml. ``timeout``: the seconds it was given.
    """
    if isinstance(error, NO_ADDRESS):
        return GiveUp(f"{name}'s address is not one: check {settings} in captain.yml.")
    if isinstance(error, requests.exceptions.SSLError):
        return Retry(f"{name}'s certificate is not trusted here; check the proxy or REQUESTS_CA_BUNDLE.")
    if isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error):
        return Retry(f"{name} cannot be reached: no connection.")
    if isinstance(error, requests.exceptions.Timeout):
        return Retry(f"{name} has not answered within {timeout:g} s; it may have acted.", unknown=True)
    return Retry(f"The connection to {name} broke before it answered; it may have acted.", unknown=True)


def retry_after(headers: Mapping[str, str], *names: str) -> float | None:
    """Seconds to wait as the first of these headers that holds a number says it; Retry-After unless others are named."""
    for name in names or ("Retry-After",):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _never_connected(error: BaseException) -> bool:
    inner = error.args[0] if error.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    return isinstance(error, requests.exceptions.ProxyError) or isinstance(reason, NewConnectionError)


def _cause(problem: BaseException) -> str:
    """The innermost error's text: the outer ones say the same with object addresses around it."""
    inner = problem
    while inner.__context__ is not None:
        inner = inner.__context__
    text = str(inner) or type(inner).__name__
    return text if len(text) <= 200 else text[:199] + "…"
