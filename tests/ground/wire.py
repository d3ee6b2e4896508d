"""Servers that checks are tried on: TLS with a certificate of one's choice, sockets that do as they like, a small DNS server."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@contextlib.contextmanager
def secure(
    context: ssl.SSLContext, answer: Callable[[http.server.BaseHTTPRequestHandler], None] | None = None
) -> Iterator[int]:
    """The port of an HTTPS server; ``answer`` does one request, or it says 200."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if answer is not None:
                answer(self)
                return
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def get_request(self):
            peer, address = super().get_request()
            peer.settimeout(5)
            return context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_):
            pass  # handshakes fail here on purpose

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def talking(say: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """The port of a server that does ``say(peer, stop)`` with each connection; ``stop`` is set at the end."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def serve() -> None:
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=carry, args=(peer,))
            thread.start()
            threads.append(thread)

    def carry(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(5)
            say(peer, stop)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        listener = threading.Thread(target=serve)
        listener.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            listener.join()
            for thread in threads:
                thread.join()


def drip(what: bytes, every: float = 0.02) -> Callable[[socket.socket, threading.Event], None]:
    """Says ``what`` over and over, a byte at a time, after it was spoken to."""

    def say(peer: socket.socket, stop: threading.Event) -> None:
        peer.recv(4096)
        at = 0
        while not stop.wait(every):
            peer.sendall(what[at : at + 1])
            at = (at + 1) % len(what)

    return say


class Zone:
    """A DNS server for the records in ``rows``: ``{(name, type): [texts]}``; ``asked`` is what was asked, over what.

    ``mode``: "well", "silent", "garbage", "servfail", "refused", or "truncated" (tells all only over TCP).
    """

    def __init__(self, rows: dict[tuple[str, str], list[str]]) -> None:
        self.rows = {(name.lower(), kind): texts for (name, kind), texts in rows.items()}
        self.mode = "well"
        self.asked: list[tuple[str, str, str]] = []

    def answer(self, wire: bytes, over: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), question.rdtype.name
        self.asked.append((name, kind, over))
        if self.mode == "silent":
            return None
        if self.mode == "garbage":
            return b"\x00\x01 this is no answer at all"
        said = dns.message.make_response(query)
        if self.mode in ("servfail", "refused"):
            said.set_rcode(dns.rcode.from_text(self.mode))
            return said.to_wire()
        if self.mode == "truncated" and over == "udp":
            said.flags |= dns.flags.TC
            return said.to_wire()
        seen = name
        while (seen, kind) not in self.rows and (seen, "CNAME") in self.rows:
            (target,) = self.rows[seen, "CNAME"]
            said.answer.append(dns.rrset.from_text(seen + ".", 60, "IN", "CNAME", target))
            seen = target.rstrip(".")
        if texts := self.rows.get((seen, kind)):
            said.answer.append(dns.rrset.from_text(seen + ".", 60, "IN", kind, *texts))
        elif not any(known == seen for known, _ in self.rows):
            said.set_rcode(dns.rcode.NXDOMAIN)
        return said.to_wire()

    @contextlib.contextmanager
    def serve(self) -> Iterator[int]:
        """The port on which it answers over UDP and TCP."""
        zone = self

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                length = int.from_bytes(self.rfile.read(2), "big")
                said = zone.answer(self.rfile.read(length), "tcp")
                if said is not None:
                    self.wfile.write(len(said).to_bytes(2, "big") + said)

        class Udp(socketserver.DatagramRequestHandler):
            def handle(self):
                said = zone.answer(self.rfile.read(), "udp")
                if said is not None:
                    self.wfile.write(said)

            def finish(self):
                if self.wfile.getvalue():
                    super().finish()

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp) as tcp:
            port = tcp.server_address[1]
            with socketserver.ThreadingUDPServer(("127.0.0.1", port), Udp) as udp:
                threads = [threading.Thread(target=one.serve_forever, args=(0.02,)) for one in (tcp, udp)]
                for thread in threads:
                    thread.start()
                try:
                    yield port
                finally:
                    for one in (tcp, udp):
                        one.shutdown()
                    for thread in threads:
                        thread.join()
