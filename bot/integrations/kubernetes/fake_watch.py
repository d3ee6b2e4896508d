"""Lists and watches: what a caller sees of a table, now, page by page, or as it changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Send

from bot.integrations.kubernetes import fake_select
from bot.integrations.kubernetes.fake_kinds import Resource, selectable
from bot.integrations.kubernetes.fake_status import ApiError, bad_request, expired
from bot.integrations.kubernetes.fake_store import Change, Record, Store

BOOKMARK_SECONDS = 60.0
INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class View:
    """What a caller looks at: one kind in one version, in one namespace or all, narrowed by selectors."""

    resource: Resource
    version: str
    namespace: str
    labels: str = ""
    fields: str = ""

    def matcher(self) -> Callable[[Record | None], bool]:
        """Raises ApiError 400 for a selector that cannot be read."""
        by_label = fake_select.labels(self.labels)
        by_field = fake_select.fields(self.fields, selectable(self.resource))

        def match(record: Record | None) -> bool:
            if record is None or (self.namespace and record.meta.get("namespace") != self.namespace):
                return False
            return by_label(record.body) and by_field(record.body)

        return match


def shown(resource: Resource, version: str, record: Record) -> dict[str, Any]:
    """An object as it goes over the wire."""
    meta = dict(record.meta)
    if record.owners:
        meta["managedFields"] = [owner.wire() for owner in record.owners]
    top = {"apiVersion": resource.api_version(version), "kind": resource.kind}
    return {**top, **record.body, "metadata": meta}


def listing(store: Store, view: View, query: Mapping[str, str]) -> dict[str, Any]:
    """One page of a list. Raises ApiError 400, or 410 when the revision asked for is forgotten."""
    match = view.matcher()
    limit = _number(query, "limit")
    with store.lock:
        revision, after = _from(store, query)
        rows = sorted(store.at(revision, view.resource.table).items())
    found = [record for place, record in rows if (after is None or place > after) and match(record)]
    meta: dict[str, Any] = {"resourceVersion": str(revision)}
    if limit and len(found) > limit:
        last = found[limit - 1].place
        token = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": list(last)})
        meta["continue"] = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        if not view.labels and not view.fields:
            meta["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    top = {"apiVersion": view.resource.api_version(view.version), "kind": view.resource.listed(), "metadata": meta}
    items = [shown(view.resource, view.version, record) for record in found]
    if not view.resource.custom:
        items = [{key: value for key, value in item.items() if key not in ("apiVersion", "kind")} for item in items]
    return {**top, "items": items}


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _from(store: Store, query: Mapping[str, str]) -> tuple[int, tuple[str, str] | None]:
    """The revision a list is read at, and the place it goes on after."""
    token = query.get("continue")
    wanted = _number(query, "resourceVersion")
    if token:
        try:
            read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            revision, start = int(read["rv"]), read["start"]
        except (binascii.Error, ValueError, KeyError, TypeError) as wrong:
            raise bad_request("continue key is not valid") from wrong
        if revision < store.floor:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return revision, (start[0], start[1])
    if wanted > store.revision:
        raise _too_new(wanted, store.revision)
    if query.get("resourceVersionMatch") == "Exact":
        if wanted < store.floor:
            raise expired(f"The resourceVersion for the provided list is too old: {wanted} ({store.floor})")
        return wanted, None
    return store.revision, None


def _too_new(wanted: int, have: int) -> ApiError:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Too large resource version: {wanted}, current: {have}"
    return ApiError(504, "Timeout", f"Timeout: {text}", {"causes": [cause], "retryAfterSeconds": 1}, retry_after=1)


class Watch:
    """One caller's watch: what was, then what changes, until its time is up or the caller goes."""

    def __init__(self, store: Store, view: View, query: Mapping[str, str]) -> None:
        self.store = store
        self.view = view
        self.match = view.matcher()
        self.wanted = _number(query, "resourceVersion")
        self.fresh = self.wanted == 0 or query.get("sendInitialEvents") == "true"
        self.marked = query.get("sendInitialEvents") == "true"
        self.bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self.seconds = float(_number(query, "timeoutSeconds") or 1800)
        self.seen = self.wanted
        if self.wanted > store.revision:
            raise _too_new(self.wanted, store.revision)

    async def serve(self, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()

        def hear(change: Change) -> None:
            if change.table == self.view.resource.table:
                loop.call_soon_threadsafe(wake.set)

        async def write(events: list[dict[str, Any]]) -> None:
            text = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events)
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        self.store.heard.append(hear)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._follow(write, wake, gone)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.store.heard.remove(hear)
            gone.cancel()

    async def _follow(
        self, write: Callable[[list[dict[str, Any]]], Awaitable[None]], wake: asyncio.Event, gone: asyncio.Future[None]
    ) -> None:
        ends = time.monotonic() + self.seconds
        if self.fresh:
            await write(list(self._initial()))
        bookmark = time.monotonic() + BOOKMARK_SECONDS
        while not gone.done():
            wake.clear()
            events, alive = self._new()
            if events:
                await write(events)
            now = time.monotonic()
            if not alive:
                return
            if self.bookmarks and now >= min(bookmark, ends):
                await write([self._bookmark()])
                bookmark = now + BOOKMARK_SECONDS
            if now >= ends:
                return
            woken = asyncio.ensure_future(wake.wait())
            left = min(bookmark, ends) - now if self.bookmarks else ends - now
            waiting: set[asyncio.Future[Any]] = {woken, gone}
            await asyncio.wait(waiting, timeout=max(left, 0.001), return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()

    def _initial(self) -> Iterator[dict[str, Any]]:
        with self.store.lock:
            rows = sorted(self.store.tables.get(self.view.resource.table, {}).items())
            self.seen = self.store.revision
        for _, record in rows:
            if self.match(record):
                yield self._event("ADDED", record)
        if self.marked and self.bookmarks:
            yield self._bookmark({INITIAL_END: "true"})

    def _new(self) -> tuple[list[dict[str, Any]], bool]:
        """The events since the last look, and whether the watch goes on."""
        with self.store.lock:
            if self.seen < self.store.floor:
                gone = expired(f"too old resource version: {self.seen} ({self.store.floor})")
                return [{"type": "ERROR", "object": gone.body()}], False
            changes = self.store.since(self.seen, self.view.resource.table)
            self.seen = self.store.revision
        events = [self._told(change) for change in changes]
        return [event for event in events if event is not None], True

    def _told(self, change: Change) -> dict[str, Any] | None:
        before, after = self.match(change.before), change.type != "DELETED" and self.match(change.record)
        if after:
            return self._event("MODIFIED" if before else "ADDED", change.record)
        if before and change.before is not None:
            last = change.record.body["metadata"]["resourceVersion"]
            meta = {**change.before.meta, "resourceVersion": last}
            return self._event("DELETED", Record({**change.before.body, "metadata": meta}, change.before.owners))
        return None

    def _event(self, kind: str, record: Record) -> dict[str, Any]:
        return {"type": kind, "object": shown(self.view.resource, self.view.version, record)}

    def _bookmark(self, annotations: dict[str, str] | None = None) -> dict[str, Any]:
        meta: dict[str, Any] = {"resourceVersion": str(self.seen), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        top = {"apiVersion": self.view.resource.api_version(self.view.version), "kind": self.view.resource.kind}
        return {"type": "BOOKMARK", "object": {**top, "metadata": meta}}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
