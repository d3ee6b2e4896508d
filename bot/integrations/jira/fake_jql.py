"""The part of JQL the pretend Jira understands: AND, OR, NOT, parentheses, =, !=, ~, IN, IS EMPTY, ORDER BY."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.integrations.jira.fake_site import PRIORITIES, Invalid, Issue, Site

TOKEN = re.compile(r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(!=|!~|=|~|\(|\)|,)|([^\s"'=!~(),]+))""")
CATEGORIES = {
    "to do": "new",
    "in progress": "indeterminate",
    "done": "done",
    "new": "new",
    "indeterminate": "indeterminate",
}
Test = Callable[[Issue], bool]


@dataclass(frozen=True)
class Token:
    text: str
    quoted: bool
    at: int

    def word(self, *words: str) -> bool:
        return not self.quoted and self.text.lower() in words


@dataclass(frozen=True)
class Query:
    """What to keep, and how to sort: (field, descending) pairs. ``bounded`` is False for a query without a condition."""

    test: Test
    order: list[tuple[str, bool]]
    bounded: bool


def parse(jql: str, site: Site) -> Query:
    """Raises Invalid (400) with Jira's messages."""
    return _Parser(jql, site).query()


def search(query: Query, issues: list[Issue], site: Site) -> list[Issue]:
    """The issues that fit, newest first where no order is asked."""
    found = [issue for issue in issues if query.test(issue)]
    found.sort(key=lambda i: int(i.id), reverse=True)
    for name, descending in reversed(query.order):
        found.sort(key=lambda i, name=name: _sort_key(i, name, site), reverse=descending)  # type: ignore[misc]
    return found


def _sort_key(issue: Issue, name: str, site: Site) -> Any:
    keys: dict[str, Any] = {
        "created": issue.created,
        "updated": issue.updated,
        "key": (issue.project, int(issue.key.rsplit("-", 1)[1])),
        "priority": -list(PRIORITIES.values()).index(issue.priority),
        "status": site.status_of(issue).name,
        "summary": issue.summary,
    }
    return keys[name]


class _Parser:
    def __init__(self, jql: str, site: Site) -> None:
        self.site = site
        self.jql = jql
        self.tokens = self._scan()
        self.i = 0

    def _scan(self) -> list[Token]:
        tokens, at = [], 0
        text = self.jql.rstrip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                quote = text[at:].lstrip()
                raise Invalid(
                    f"Error in the JQL Query: The quoted string '{quote[1:]}' has not been completed. "
                    f"(line 1, character {len(text) - len(quote) + 1})"
                )
            quoted, sign, word = match.groups()
            start = match.end() - len(quoted or sign or word) + 1
            plain = re.sub(r"\\(.)", r"\1", quoted[1:-1]) if quoted else sign or word
            tokens.append(Token(plain, bool(quoted), start))
            at = match.end()
        return tokens

    def query(self) -> Query:
        bounded = bool(self.tokens) and not self._peek("order")
        test: Test = self._any() if bounded else (lambda _: True)
        order: list[tuple[str, bool]] = []
        if self._peek("order"):
            self.i += 1
            if not self._peek("by"):
                raise self._unexpected("'BY'")
            self.i += 1
            order = self._order()
        if self.i < len(self.tokens):
            raise self._unexpected("either 'OR' or 'AND'")
        return Query(test, order, bounded)

    def _order(self) -> list[tuple[str, bool]]:
        order = []
        while True:
            name = self._next("a field name").text.lower()
            if name not in ("created", "updated", "key", "priority", "status", "summary"):
                raise Invalid(f"Field '{name}' does not exist or you do not have permission to view it.")
            way = self.tokens[self.i] if self._peek("asc", "desc") else None
            self.i += way is not None
            order.append((name, way is not None and way.text.lower() == "desc"))
            if not self._peek(","):
                return order
            self.i += 1

    def _any(self) -> Test:
        tests = [self._all()]
        while self._peek("or"):
            self.i += 1
            tests.append(self._all())
        return lambda issue: any(test(issue) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._peek("and"):
            self.i += 1
            tests.append(self._one())
        return lambda issue: all(test(issue) for test in tests)

    def _one(self) -> Test:
        if self._peek("not"):
            self.i += 1
            inner = self._one()
            return lambda issue: not inner(issue)
        if self._peek("("):
            self.i += 1
            inner = self._any()
            if not self._peek(")"):
                raise self._unexpected("')'")
            self.i += 1
            return inner
        return self._clause()

    def _clause(self) -> Test:
        name = self._next("a field name")
        values_of = self._field(name)
        sign = self._next("an operator")
        if sign.word("is"):
            no = self._peek("not")
            self.i += no
            if not self._next("EMPTY").word("empty", "null"):
                raise self._unexpected("EMPTY")
            return lambda issue: bool(values_of(issue)) == no
        negated = sign.word("not", "!=", "!~")
        if sign.word("not"):
            sign = self._next("IN")
        if sign.word("in"):
            values = self._list()
        elif sign.word("=", "!=", "~", "!~"):
            values = [self._next("either a value, list or function").text]
        else:
            self.i -= 1
            raise self._unexpected("either '=' or 'IN'")
        wanted = {self._value(name.text.lower(), value) for value in values}
        if sign.word("~", "!~"):
            words = [value.lower() for value in values]
            return lambda issue: any(w in v for w in words for v in values_of(issue)) != negated
        return lambda issue: bool(wanted & set(values_of(issue))) != negated

    def _list(self) -> list[str]:
        if not self._next("'('").word("("):
            self.i -= 1
            raise self._unexpected("'('")
        values = [self._next("either a value, list or function").text]
        while self._peek(","):
            self.i += 1
            values.append(self._next("either a value, list or function").text)
        if not self._peek(")"):
            raise self._unexpected("')'")
        self.i += 1
        return values

    def _field(self, name: Token) -> Callable[[Issue], list[str]]:
        fields: dict[str, Callable[[Issue], list[str]]] = {
            "project": lambda i: [i.project.lower()],
            "labels": lambda i: [label.lower() for label in i.labels],
            "status": lambda i: [self.site.status_of(i).name.lower()],
            "statuscategory": lambda i: [self.site.status_of(i).category],
            "key": lambda i: [i.key.lower()],
            "issuekey": lambda i: [i.key.lower()],
            "id": lambda i: [i.key.lower(), i.id],
            "issuetype": lambda i: [i.issue_type.lower()],
            "type": lambda i: [i.issue_type.lower()],
            "priority": lambda i: [i.priority.lower()],
            "summary": lambda i: [i.summary.lower()],
            "text": lambda i: [i.summary.lower(), i.description.lower()],
            "resolution": lambda i: [i.resolution.lower()] if i.resolution else [],
            "assignee": lambda i: [i.assignee.lower()] if i.assignee else [],
        }
        if name.text.lower() not in fields:
            raise Invalid(f"Field '{name.text}' does not exist or you do not have permission to view it.")
        return fields[name.text.lower()]

    def _value(self, name: str, value: str) -> str:
        """The value in its comparable form. Raises Invalid for one the site does not know."""
        low = value.lower()
        known: dict[str, set[str]] = {
            "project": {p.lower() for p in self.site.projects},
            "status": {s.name.lower() for s in self.site.statuses()},
            "priority": {p.lower() for p in PRIORITIES.values()},
            "issuetype": {t.lower() for p in self.site.projects.values() for t in p.issue_types},
            "statuscategory": set(CATEGORIES),
        }
        if name in known and low not in known[name]:
            raise Invalid(f"The value '{value}' does not exist for the field '{name}'.")
        if name in ("key", "issuekey") and not any(i.key.lower() == low for i in self.site.issues.values()):
            raise Invalid(f"An issue with key '{value}' does not exist for field '{name}'.")
        if name == "assignee" and low not in ("", *(u.lower() for u in self.site.users)):
            found = [u.id for u in self.site.users.values() if low in (u.email.lower(), u.login.lower())]
            return found[0].lower() if found else low
        return CATEGORIES[low] if name == "statuscategory" else low

    def _peek(self, *words: str) -> bool:
        return self.i < len(self.tokens) and self.tokens[self.i].word(*words)

    def _next(self, expected: str) -> Token:
        if self.i >= len(self.tokens):
            raise self._unexpected(expected)
        self.i += 1
        return self.tokens[self.i - 1]

    def _unexpected(self, expected: str) -> Invalid:
        if self.i >= len(self.tokens):
            return Invalid(f"Error in the JQL Query: Expecting {expected} before the end of the query.")
        token = self.tokens[self.i]
        where = f"(line 1, character {token.at})"
        return Invalid(f"Error in the JQL Query: Expecting {expected} but got '{token.text}'. {where}")
