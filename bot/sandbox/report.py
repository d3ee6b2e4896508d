"""What the sandbox holds, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]


def summary(state: Row) -> str:
    """One line for each thing worth knowing."""
    return "\n".join(_lines(state))


def _lines(state: Row) -> Iterator[str]:
    bot = state["bot"]
    yield f"bot         {bot['state']}, pid {bot['pid']}, {bot['restarts']} restarts"
    for name, faults in state["world"]["faults"].items():
        for fault in faults:
            left = fault["seconds_left"]
            yield f"broken      {name}: {fault['mode']}{'' if left is None else f', {left:.0f} s left'}"
    for row in state["world"]["troubles"]:
        if row["on"]:
            yield f"trouble     {row['name']}: {row['about']}"
    for row in state["pagerduty"]["incidents"]:
        yield f"pagerduty   #{row['number']} {row['status']}: {row['title']}"
    for row in state["jira"]["issues"]:
        yield f"jira        {row['key']} {row['status']}: {row['summary']}"
    for row in state["slack"]["messages"][-20:]:
        yield f"slack       {texts_of(row)}"
    yield f"kubernetes  {len(state['kubernetes']['objects'])} objects"
    beats = state["heartbeat"]
    yield f"heartbeat   {beats['status']}, {beats['count']} beats"
    yield f"calls       {len(state['calls'])}"


def texts_of(row: Row) -> str:
    """A message as one line: where, who, to whom, what."""
    only = " (only visible to one person)" if row["ephemeral_to"] else ""
    reply = " in a thread" if row["thread_ts"] and row["thread_ts"] != row["ts"] else ""
    return f"#{row['channel_name']}{reply} {row['username']}{only}: {row['text']}"
