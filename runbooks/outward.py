"""The way out of a check: which addresses it may connect to, and that no connection outlives its time.

A host is resolved once, every address it has is judged, and one of those judged is connected to: a name that answers
differently the second time gains nothing. Refused are link-local addresses and those at which clouds tell their
machines secrets, also as IPv4 within IPv6, unless ``Looks.allow`` holds them. Loopback and private networks are open:
the bot looks at its neighbours. Behind a proxy of the environment, which resolves for itself, names are judged as far as
they resolve here.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from bot.http_client import no_retries
from runbooks.kind import Ask

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED: tuple[Network, ...] = tuple(
    ip_network(one)
    for one in (
        "169.254.0.0/16",  # link-local; nearly every cloud's metadata
        "fe80::/10",
        "fd00:ec2::/32",  # AWS over IPv6
        "fd20:ce::254/128",  # Google over IPv6
        "fd00:42::42/128",  # Scaleway over IPv6
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host
        "192.0.0.192/32",  # Oracle, older
    )
)
REFUSED_NAMES = frozenset(
    (
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_TICK_S = 0.05


def refusal(host: str, address: str, allow: Sequence[Network]) -> str:
    """Why an address that a host has may not be connected to; empty when it may."""
    found = ip_address(address)
    forms = tuple(_forms(found))
    if any(form in network for form in forms for network in allow):
        return ""
    name = host.lower().rstrip(".")
    within = next((network for form in forms for network in REFUSED if form in network), None)
    if within is None and name not in REFUSED_NAMES:
        return ""
    said = host if host == address else f"{host} ({address})"
    what = f"is within {within}, which is" if within is not None else "is a name of"
    return (
        f"{said} {what} link-local or a cloud's metadata, where a check must not look; "
        f"if it must, add {address} to runbooks.allow_addresses in captain.yml"
    )


def _forms(address: Address) -> Iterator[Address]:
    """An address, and the IPv4 addresses that it stands for."""
    yield address
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
        yield from (one for one in inner if one is not None)


def judged(host: str, port: int, allow: Sequence[Network]) -> list[tuple[socket.AddressFamily, Any]]:
    """Every address of a host, judged. Raises ValueError when one is refused, socket.gaierror when there is none."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as problem:
        raise socket.gaierror(socket.EAI_NONAME, "it is not a host name") from problem
    for row in rows:
        if why := refusal(host, str(row[4][0]), allow):
            raise ValueError(why)
    return [(row[0], row[4]) for row in rows]


class Way:
    """One look's connections: to judged addresses only, and cut off when its time is up or the run is cancelled.

    Used as a context; ``over`` tells afterwards that the time was up. ``certificates`` are those that the servers of
    ``session`` showed, as ``ssl.SSLSocket.getpeercert`` gives them, the newest last.
    """

    def __init__(self, ask: Ask) -> None:
        self.allow = ask.looks.allow
        self.timeout = ask.timeout
        self.certificates: list[Any] = []
        self._cancelled = ask.cancelled
        self._deadline = time.monotonic() + ask.timeout
        self._held: list[socket.socket] = []
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._cut_off, name="check-watch", daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self._done.set()
        self._watch.join()
        for held in self._held:
            held.close()

    @property
    def left(self) -> float:
        """Seconds that are left; never so few that a socket would take them for none."""
        return max(self._deadline - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether the time is up. Raises ValueError when the run was cancelled instead."""
        if self._cancelled.is_set():
            raise ValueError("the run was cancelled while it looked")
        return time.monotonic() >= self._deadline

    def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
        """As ``judged``, by what this run allows."""
        return judged(host, port, self.allow)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first address that accepts. Raises OSError, or ValueError as ``resolve`` does."""
        problem: OSError = TimeoutError("timed out")
        for family, address in self.resolve(host, port):
            if self.over:
                break
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.settimeout(self.left)
                made.connect(address)
            except OSError as why:
                made.close()
                problem = why
                continue
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.hold(made)
            return made
        raise problem

    def hold(self, connection: socket.socket) -> None:
        """Have a connection cut off in time; it stays the caller's to close."""
        with self._lock:
            self._held.append(connection.dup())

    def session(self) -> requests.Session:
        """A session whose connections go this way, with no retries and nobody's .netrc."""
        session = requests.Session()
        session.auth = _unchanged
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))
        return session

    def _cut_off(self) -> None:
        while not self._done.wait(min(_TICK_S, self.left)):
            if self._cancelled.is_set() or time.monotonic() >= self._deadline:
                with self._lock:
                    for held in self._held:
                        with contextlib.suppress(OSError):
                            held.shutdown(socket.SHUT_RDWR)
                self._done.wait(_TICK_S)


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Adapter(HTTPAdapter):
    """Connections of ``requests`` that go a given way."""

    def __init__(self, way: Way) -> None:
        self._way = way
        super().__init__(max_retries=no_retries())

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._way)

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        if select_proxy(str(request.url), named.get("proxies")):
            host = str(parts.hostname)
            try:
                self._way.resolve(host, parts.port or 80)
            except socket.gaierror:
                # Only the proxy knows it, and there it may well be what its name says.
                if host.lower().rstrip(".") in REFUSED_NAMES:
                    raise ValueError(f"{host} is a name of a cloud's metadata, where a check must not look") from None
        return super().send(request, *args, **named)


def _pools(way: Way) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, way)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, way)

        def connect(self) -> None:
            super().connect()
            way.certificates.append(self.sock.getpeercert())  # type: ignore[union-attr]

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connected(connection: HTTPConnection, way: Way) -> socket.socket:
    """A connection for urllib3, its failures in urllib3's words."""
    host = connection._dns_host  # noqa: SLF001 - the name as it is resolved, with the dot at its end
    try:
        return way.connect(host, connection.port)
    except socket.gaierror as problem:
        raise NameResolutionError(host, connection, problem) from problem
    except TimeoutError as problem:
        raise ConnectTimeoutError(connection, f"{host} did not accept in time") from problem
    except OSError as problem:
        raise NewConnectionError(connection, str(problem)) from problem
