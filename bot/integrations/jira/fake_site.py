"""The pretend Jira site: projects, workflows, issues, and the rules by which issues change and become searchable."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


class Invalid(Exception):
    """A request Jira refuses: HTTP status, messages of the whole, and messages by field."""

    def __init__(self, *messages: str, status: int = 400, fields: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join([*messages, *(fields or {}).values()]))
        self.status = status
        self.messages = list(messages)
        self.fields = dict(fields or {})


def no_issue() -> Invalid:
    return Invalid("Issue does not exist or you do not have permission to see it.", status=404)


@dataclass(frozen=True)
class Status:
    """``category`` is Jira's key: new, indeterminate or done."""

    id: str
    name: str
    category: str


@dataclass(frozen=True)
class Transition:
    """``sources``: status ids it is offered in, empty for all. ``required``: fields its screen insists on."""

    id: str
    name: str
    to: str
    sources: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


TO_DO, IN_PROGRESS, DONE = "10000", "3", "10001"


@dataclass(frozen=True)
class Workflow:
    """The first status is where an issue starts."""

    statuses: tuple[Status, ...] = (
        Status(TO_DO, "To Do", "new"),
        Status(IN_PROGRESS, "In Progress", "indeterminate"),
        Status(DONE, "Done", "done"),
    )
    transitions: tuple[Transition, ...] = (
        Transition("11", "Start Progress", IN_PROGRESS, (TO_DO,)),
        Transition("21", "Done", DONE, (IN_PROGRESS,)),
        Transition("31", "Stop Progress", TO_DO, (IN_PROGRESS,)),
        Transition("41", "Reopen", TO_DO, (DONE,)),
    )

    def status(self, ident: str) -> Status:
        return next(s for s in self.statuses if s.id == ident)

    def offered(self, status: str) -> list[Transition]:
        return [t for t in self.transitions if not t.sources or status in t.sources]


@dataclass(frozen=True)
class Custom:
    """A field of a project's own. ``kind``: string, number, option or user; ``many``: it takes a list of them."""

    id: str
    name: str
    kind: str = "string"
    options: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Project:
    """``required``: fields a new issue must have beyond the usual ones. ``levels``: its security levels, by name."""

    key: str
    name: str = ""
    id: str = "10000"
    issue_types: tuple[str, ...] = ("Task", "Bug", "Story", "Incident")
    workflow: Workflow = Workflow()
    required: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    customs: tuple[Custom, ...] = ()


@dataclass(frozen=True)
class User:
    id: str
    name: str
    email: str

    @property
    def login(self) -> str:
        return self.email.split("@")[0]


PEOPLE = (
    User("5b10a2844c20165700ede21a", "Alice Adams", "alice@example.com"),
    User("5b10a2844c20165700ede21b", "Bob Brown", "bob@example.com"),
    User("5b10a2844c20165700ede21c", "Carol Cho", "carol@example.com"),
)
PRIORITIES = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low", "5": "Lowest"}
RESOLUTIONS = {"10000": "Done", "10001": "Won't Do", "10002": "Duplicate"}


@dataclass
class Issue:
    """An issue. Times are UNIX seconds, people are user ids, ``status`` is a status id, ``priority`` a name.

    ``before``: the keys it had in other projects, by which it is still found.
    """

    id: str
    key: str
    project: str
    summary: str
    issue_type: str
    status: str
    reporter: str
    created: float
    updated: float
    description: str = ""
    priority: str = "Medium"
    labels: list[str] = field(default_factory=list)
    assignee: str = ""
    resolution: str = ""
    resolved_at: float | None = None
    category_changed: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    security: str = ""
    components: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)


ATTRIBUTES = (
    "summary",
    "description",
    "priority",
    "labels",
    "assignee",
    "resolution",
    "issue_type",
    "reporter",
    "security",
    "components",
)
"""What an edit may change; the rest of the fields are in ``extra``."""
Item = dict[str, Any]
Told = Callable[[str, Issue, str, Mapping[str, Any]], None]


class Site:
    """All that the site holds, changed under one lock; ``told`` hears (event, issue, user id, extra).

    ``search_delay``: seconds until a new or changed issue is found by search as it is.
    """

    def __init__(self, projects: Iterable[Project], bot: User, search_delay: float) -> None:
        self.lock = threading.RLock()
        self.projects = {project.key: project for project in projects}
        self.users = {user.id: user for user in (*PEOPLE, bot)}
        self.search_delay = search_delay
        self.issues: dict[str, Issue] = {}
        self.told: list[Told] = []
        self._numbers: dict[str, int] = {}
        self._made = 10_000
        self._pending: list[tuple[float, Issue]] = []
        self._index: dict[str, Issue] = {}

    # -- looking ----------------------------------------------------------------------------------------------------

    def issue(self, ident: str) -> Issue:
        """By key (any case), a key it had before, or id. Raises Invalid (404)."""
        found, key = self.issues.get(ident), ident.upper()
        if found is None:
            found = next((issue for issue in self.issues.values() if key in (issue.key, *issue.before)), None)
        if found is None:
            raise no_issue()
        return found

    def status_of(self, issue: Issue) -> Status:
        return self.projects[issue.project].workflow.status(issue.status)

    def statuses(self) -> list[Status]:
        found = {s.id: s for p in self.projects.values() for s in p.workflow.statuses}
        return list(found.values())

    def user(self, who: str) -> User:
        """From an id, an address, a login or a display name. Raises KeyError for a stranger."""
        for user in self.users.values():
            if who.lower() in (user.id.lower(), user.email.lower(), user.login.lower(), user.name.lower()):
                return user
        raise KeyError(f"Jira has no user {who!r}; it has {', '.join(u.email for u in self.users.values())}")

    def searchable(self, reconcile: Sequence[str] = ()) -> list[Issue]:
        """The issues as search sees them now: late, but for those whose ids are given."""
        with self.lock:
            now = time.time()
            due = [copied for at, copied in self._pending if at <= now]
            self._pending = [(at, copied) for at, copied in self._pending if at > now]
            for copied in due:
                self._index[copied.id] = copied
            seen = dict(self._index)
            for ident in reconcile:
                if ident in self.issues:
                    seen[ident] = self.issues[ident]
            return [issue for ident, issue in seen.items() if ident in self.issues]

    # -- changing ---------------------------------------------------------------------------------------------------

    def create(self, project: str, fields: Mapping[str, Any], by: str) -> Issue:
        """``fields``: checked values by attribute of Issue."""
        with self.lock:
            now = time.time()
            self._made += 1
            number = self._numbers.get(project, 0) + 1
            self._numbers[project] = number
            start = self.projects[project].workflow.statuses[0].id
            plain = {name: value for name, value in fields.items() if value is not None}
            made: dict[str, Any] = {"status": start, "reporter": by, "created": now, "updated": now, **plain}
            issue = Issue(id=str(self._made), key=f"{project}-{number}", project=project, **made)
            issue.category_changed = now
            self.issues[issue.id] = issue
            self._changed(issue)
            self._tell("jira:issue_created", issue, by)
            return issue

    def edit(self, issue: Issue, fields: Mapping[str, Any], by: str) -> None:
        with self.lock:
            items = [self._set(issue, name, value) for name, value in fields.items()]
            self._touch(issue, by, [item for item in items if item])

    def transition(self, issue: Issue, transition: Transition, fields: Mapping[str, Any], by: str) -> None:
        """Raises Invalid (400) when the workflow does not offer it here, or a required field is missing."""
        with self.lock:
            workflow = self.projects[issue.project].workflow
            if transition not in workflow.offered(issue.status):
                raise Invalid(f"Transition id '{transition.id}' is not valid for this issue.")
            missing = {
                name: f"{name.capitalize()} is required." for name in transition.required if not fields.get(name)
            }
            if missing:
                raise Invalid(fields=missing)
            was, now = workflow.status(issue.status), time.time()
            becomes = workflow.status(transition.to)
            items = [self._set(issue, name, value) for name, value in fields.items()]
            items.append(_item("status", was.id, was.name, becomes.id, becomes.name))
            issue.status = becomes.id
            if becomes.category != was.category:
                issue.category_changed = now
            if becomes.category == "done" and issue.resolved_at is None:
                issue.resolved_at, issue.resolution = now, issue.resolution or "Done"
                items.append(_item("resolution", None, None, None, issue.resolution))
            elif becomes.category != "done" and issue.resolved_at is not None:
                items.append(_item("resolution", None, issue.resolution, None, None))
                issue.resolved_at, issue.resolution = None, ""
            self._touch(issue, by, [item for item in items if item])

    def comment(self, issue: Issue, text: str, by: str, only: str = "") -> dict[str, Any]:
        """``only``: the role that may read it; everybody who sees the issue without."""
        with self.lock:
            now = time.time()
            self._made += 1
            made = {"id": str(self._made), "text": text, "by": by, "at": now} | ({"only": only} if only else {})
            issue.comments.append(made)
            issue.updated = now
            self._changed(issue)
            self._tell("comment_created", issue, by, comment=made)
            return made

    def edit_comment(self, issue: Issue, ident: str, text: str, by: str) -> None:
        with self.lock:
            comment = self._comment(issue, ident)
            comment |= {"text": text, "edited_by": by, "edited_at": time.time()}
            self._changed(issue)
            self._tell("comment_updated", issue, by, comment=comment)

    def delete_comment(self, issue: Issue, ident: str, by: str) -> None:
        with self.lock:
            comment = self._comment(issue, ident)
            issue.comments.remove(comment)
            self._changed(issue)
            self._tell("comment_deleted", issue, by, comment=comment)

    def _comment(self, issue: Issue, ident: str) -> dict[str, Any]:
        for comment in issue.comments:
            if comment["id"] == ident:
                return comment
        raise Invalid(f"Can not find a comment for the id: {ident}.", status=404)

    def move(self, issue: Issue, project: str, by: str) -> None:
        """Take the issue to another project, where it has another key; the old one still finds it."""
        with self.lock:
            old, was = issue.key, self.projects[issue.project]
            number = self._numbers.get(project, 0) + 1
            self._numbers[project] = number
            issue.before.append(old)
            issue.key, issue.project = f"{project}-{number}", project
            becomes = self.projects[project]
            items = [
                _item("project", was.id, was.name or was.key, becomes.id, becomes.name or becomes.key),
                _item("Key", None, old, None, issue.key),
            ]
            self._touch(issue, by, items)

    def delete(self, issue: Issue, by: str) -> None:
        with self.lock:
            del self.issues[issue.id]
            self._tell("jira:issue_deleted", issue, by)

    def link(self, issue: Issue, link: Mapping[str, Any]) -> dict[str, Any]:
        """Add a remote link, or replace the one of the same globalId."""
        with self.lock:
            same = [row for row in issue.links if link.get("globalId") and row.get("globalId") == link["globalId"]]
            if same:
                same[0].update(link)
                return same[0]
            self._made += 1
            issue.links.append({**link, "id": self._made})
            return issue.links[-1]

    # -- keeping ----------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        with self.lock:
            issues = [asdict(issue) for issue in self.issues.values()]
            return {"made": self._made, "numbers": dict(self._numbers), "issues": issues}

    def load(self, data: Mapping[str, Any]) -> None:
        with self.lock:
            self._made, self._numbers, self._pending = data["made"], dict(data["numbers"]), []
            self.issues = {row["id"]: Issue(**row) for row in data["issues"]}
            self._index = {ident: copy.deepcopy(issue) for ident, issue in self.issues.items()}

    # -- inside -----------------------------------------------------------------------------------------------------

    def _set(self, issue: Issue, name: str, value: Any) -> Item | None:
        """Change one attribute; the line for the changelog, or None when it stays the same."""
        if name in ATTRIBUTES:
            was = getattr(issue, name)
            setattr(issue, name, value)
        else:
            was = issue.extra.get(name)
            issue.extra[name] = value
        if was == value:
            return None
        if name in ("assignee", "reporter"):
            shown = [self.users[ident].name if ident in self.users else None for ident in (was, value)]
            return _item(name, was or None, shown[0], value or None, shown[1])
        text = [" ".join(map(str, v)) if isinstance(v, list) else v for v in (was, value)]
        if name == "priority":
            ids = {known: ident for ident, known in PRIORITIES.items()}
            return _item(name, ids[text[0]], text[0], ids[text[1]], text[1])
        return _item(name, None, text[0], None, text[1])

    def _touch(self, issue: Issue, by: str, items: list[Item]) -> None:
        issue.updated = time.time()
        if items:
            self._made += 1
            issue.history.append({"id": str(self._made), "by": by, "at": issue.updated, "items": items})
        self._changed(issue)
        if items:
            self._tell("jira:issue_updated", issue, by, change=issue.history[-1])

    def _changed(self, issue: Issue) -> None:
        copied = copy.deepcopy(issue)
        if self.search_delay <= 0:
            self._index[issue.id] = copied
        else:
            self._pending.append((time.time() + self.search_delay, copied))

    def _tell(self, event: str, issue: Issue, by: str, **extra: Any) -> None:
        for tell in self.told:
            tell(event, issue, by, extra)


def _item(name: str, old: str | None, old_text: Any, new: str | None, new_text: Any) -> Item:
    shown = {"fromString": old_text, "toString": new_text}
    return {"field": name, "fieldtype": "jira", "fieldId": name, "from": old, "to": new, **shown}
