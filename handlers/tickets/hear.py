"""What people do in Jira: its webhooks, as deeds on our incidents and lines in their threads."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bot import inbox
from bot.effects import EFFECTS, Effect, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp
from bot.integrations.jira import TicketRef
from bot.integrations.jira.text import escaped
from handlers.buckets import EDITS
from handlers.desk import Desk
from handlers.incidents import decide, table
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.tickets import drive, echo
from handlers.tickets.echo import Done, Heard
from handlers.tickets.effects import follow, row_of, tracker_of
from handlers.tickets.events import CHANGED, COMMENTS, DELETED
from handlers.tickets.words import Said, change_said, comment_said, gone_said

KIND = "ticket-heard"
LABEL = "captain-"
"""What our label on a ticket begins with; the incident's uid follows."""


def performers(desk: Desk) -> list[Performer]:
    """The one kind of effect this owes: to do what a webhook means."""
    return [Performer(KIND, lambda task: heard(desk, task))]


def hear(desk: Desk, event: Mapping[str, Any]) -> str:
    """Write down that a webhook is to be acted on; what was decided, as a sentence. It asks nobody outside."""
    now = time.time()
    with desk.engine.transaction(now) as tx:
        row = _which(tx, event)
        if row is None:
            said = "not ours: no incident has this ticket"
        elif event["type"] == CHANGED and not event["items"]:
            said = f"nothing to do: nothing of INC-{row.number} has changed that I follow"
        else:
            made = table.newest(tx.c, row.number, "ticket")
            key, after = f"{row.uid}:heard:{event['id']}", made.key if made is not None else None
            new = tx.owe(Effect(key, KIND, "jira", row.number, {"event": dict(event)}, urgency=3, after=after))
            said = f"for INC-{row.number}" if new else f"came before, for INC-{row.number}"
        # In this transaction, so that a kill after it leaves nothing to be decided anew.
        inbox.done(tx.c, f"jira:{event['id']}", at=now, verdict=said)
        return said


def _which(tx: Tx, event: Mapping[str, Any]) -> Any:
    """The incident whose ticket this is about: by its id, which stays when it is moved, else by a key it has or had.

    Our label counts only while the incident knows no ticket: whoever clones one clones its labels.
    """
    t = INCIDENTS()
    found = tx.c.execute(sa.select(t).where(t.c.ticket_id == event["issue"])).first()
    if found is not None:
        return found
    keys = {event["key"], *(one["from_text"] for one in event["items"] if one["field"] == "key")} - {""}
    mine = t.c.ticket_key.in_(keys) & (t.c.ticket_id == "")
    found = tx.c.execute(sa.select(t).where(mine).order_by(t.c.number.desc())).first() if keys else None
    uids = [label.removeprefix(LABEL) for label in event["labels"] if label.startswith(LABEL)]
    if found is not None or not uids:
        return found
    return tx.c.execute(sa.select(t).where(t.c.uid.in_(uids), t.c.ticket_key == "")).first()


def heard(desk: Desk, task: Task) -> Outcome:
    """Look at the ticket as it is now, then say and do what the webhook means, in the transaction that settles this."""
    row, event = row_of(desk, task), task.args["event"]
    me = _me(desk)
    if event["type"] == CHANGED:
        with desk.store.read() as c:
            done = _done(table.effects_about(c, row.number))
        if all(echo.ours(item, by=event["by"], at=event["at"], me=me, done=done) for item in event["items"]):
            return Outcome(skipped="I did this myself")
    ref = None if event["type"] in COMMENTS else tracker_of(desk).get(event["issue"])
    if event["type"] == DELETED and ref is not None:
        return Outcome(skipped=f"{ref.key} is there")
    return Outcome({}, lambda tx: _apply(desk, tx, row.number, task, ref, me))


def _me(desk: Desk) -> str:
    """Our account; empty where Jira does not tell: then the ledger alone says what was ours."""
    try:
        return tracker_of(desk).me().id
    except GiveUp:
        return ""


def _apply(desk: Desk, tx: Tx, number: int, task: Task, ref: TicketRef | None, me: str) -> None:
    row, event = table.locked(tx.c, number), task.args["event"]
    effects = [one for one in table.effects_about(tx.c, number) if one.key != task.key]
    if event["type"] == DELETED:
        if row.ticket_id in ("", event["issue"]):
            said = gone_said(row, event)
            _show(desk, tx, row, event, "deleted", said)
            drive.gone(desk, tx, row)
    elif event["type"] in COMMENTS:
        if not echo.our_comment(event["text"], by=event["author_id"], me=me, done=_done(effects)):
            _comment(desk, tx, row, event)
    else:
        _changes(desk, tx, row, event, ref, me, effects)


# ---- what has changed -----------------------------------------------------------------------------------------------


def _changes(
    desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any], ref: TicketRef | None, me: str, effects: Sequence[Any]
) -> None:
    """Show each change that is not our own; the newest of each kind drives the incident, if the ticket still says so."""
    done, known = _done(effects), _heard(effects)
    for item in event["items"]:
        if echo.ours(item, by=event["by"], at=event["at"], me=me, done=done):
            continue
        kind = item["field"]
        if kind == "key":
            row = _moved(tx, row, item, event, ref)
        _show(desk, tx, row, event, kind, change_said(row, item, event))
        overtaken = echo.late(kind, at=event["at"], order=event["order"], known=known)
        if kind in echo.STANDING and ref is not None and not overtaken:
            drive.drive(desk, tx, table.locked(tx.c, row.number), item, event, ref)


def _moved(tx: Tx, row: Any, item: Mapping[str, str], event: Mapping[str, Any], ref: TicketRef | None) -> Any:
    """The ticket has another key; of one that the bot may not see any more the webhook alone tells it."""
    url = row.ticket_url.rsplit("/", 1)[0] + f"/{item['to_text']}"
    follow(tx, row, ref or TicketRef(item["to_text"], url, id=event["issue"]))
    return table.by_number(tx.c, row.number)


def _comment(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any]) -> None:
    """Show a comment; what is changed or deleted there changes in the thread and in the timeline."""
    first = tx.c.execute(sa.select(EFFECTS()).where(EFFECTS().c.key == _note_key(row, event["comment"]))).first()
    said = comment_said(row, event)
    if first is None:
        _show(desk, tx, row, event, "comment", said)
        return
    args = json.loads(first.args)
    if args.get("at", 0.0) >= event["at"]:
        return  # what it says now is known
    t = TIMELINE()
    line = (t.c.incident == row.number) & (t.c.kind == "ticket-comment") & (t.c.text == args.get("line"))
    tx.c.execute(t.update().where(line).values(text=said.plain))
    key, told = f"{row.uid}:asked:jira:{event['id']}", {"note": first.key, "text": said.mrkdwn}
    # One after another: an edit that Slack put off must not come after a newer one.
    after = args.get("edit") or first.key
    tx.owe(Effect(key, "asked", "slack", row.number, told, urgency=5, after=after, bucket=EDITS))
    _keep(tx, first.key, said, event, edit=key)


def _note_key(row: Any, comment: str) -> str:
    return f"{row.uid}:note:jira:comment:{comment}"


def _show(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any], kind: str, said: Said) -> None:
    """One line in the thread, and one in the timeline, there at its own time."""
    at = min(event["at"] or tx.now, tx.now)
    line = {"incident": row.number, "at": at, "kind": f"ticket-{kind}", "actor": event["name"], "text": said.plain}
    tx.c.execute(TIMELINE().insert(), line)
    if kind != "comment":
        decide.say(desk, tx, row, f"jira:{event['id']}:{kind}", said.mrkdwn)
        return
    decide.say(desk, tx, row, f"jira:comment:{event['comment']}", said.mrkdwn)
    _keep(tx, _note_key(row, event["comment"]), said, event)


def _keep(tx: Tx, key: str, said: Said, event: Mapping[str, Any], *, edit: str = "") -> None:
    """Keep with a comment's message what it says, since when, and the last edit of it, by which a change of it is made."""
    t = EFFECTS()
    args = json.loads(tx.c.execute(sa.select(t.c.args).where(t.c.key == key)).scalar_one())
    kept = {**args, "text": said.mrkdwn, "line": said.plain, "at": event["at"], "edit": edit}
    tx.c.execute(t.update().where(t.c.key == key).values(args=json.dumps(kept, ensure_ascii=False)))


# ---- what is known already ------------------------------------------------------------------------------------------


def _done(effects: Sequence[Any]) -> list[Done]:
    """What we did to the ticket, as the ledger has it."""
    found = []
    for one in effects:
        if one.state == State.SKIPPED.value and one.attempt <= 1:
            continue  # nothing was done
        args, result = json.loads(one.args), json.loads(one.result)
        ended = one.done_at if one.state in (State.DONE.value, State.SKIPPED.value, State.GAVE_UP.value) else None
        # A try that broke off may have done some of it, and what goes on from there does not know it.
        certain = one.state == State.DONE.value and one.attempt <= 1
        if one.kind in ("ticket-move", "ticket-done", "ticket-reopen"):
            found.append(Done("move", one.created_at, ended, result.get("passed") if certain else None))
        elif one.kind == "ticket-edit":
            summary, priority = (result.get(name) if certain else None for name in ("summary", "priority"))
            found.append(Done("edit", one.created_at, ended, summary=summary, priority=priority))
        elif one.lane == "jira" and "text" in args:
            found.append(Done("note", one.created_at, ended, text=escaped(str(args["text"]))))
    return found


def _heard(effects: Sequence[Any]) -> list[Heard]:
    """The changes that were heard and acted on."""
    events = [json.loads(one.args)["event"] for one in effects if one.kind == KIND and one.state == State.DONE.value]
    return [Heard(item["field"], event["at"], event["order"]) for event in events for item in event["items"]]
