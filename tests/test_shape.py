"""The house's shape: small modules, one way in, nothing built at import time; each rule with a proof that it can fail."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bot", "handlers", "runbooks", "drills")
GENERATED = "bot/migrations/versions/"  # Alembic writes these.
MAX_CODE_LINES = 400
MAX_STATEMENTS = 40

LOCAL_IMPORTS = {"bot/integrations/connect.py": "imports the clients of the configured integrations only"}

# What a module may call while it is imported: makers of types, of constants and of tables; none opens or starts anything.
MAKES_A_CONSTANT = {
    "TypeVar": "a type",
    "NewType": "a type",
    "ParamSpec": "a type",
    "dataclass": "a decorator that makes a type",
    "field": "a dataclass's field",
    "Field": "a pydantic or SQLModel field",
    "ConfigDict": "a pydantic model's settings",
    "field_validator": "a pydantic model's rule",
    "model_validator": "a pydantic model's rule",
    "auto": "an Enum's member",
    "re.compile": "a pattern",
    "logging.getLogger": "a name for log lines",
    "MappingProxyType": "a constant",
    "timedelta": "a constant",
    "dt.timedelta": "a constant",
    "dt.datetime": "a constant",
    "ip_network": "a constant",
    "IPv6Network": "a constant",
    "Path": "a constant; asks nothing of the disk",
    "typer.Typer": "a list of commands; runs none of them",
    "typer.Option": "a parameter's description",
    "typer.Argument": "a parameter's description",
    "Index": "part of a table",
    "UniqueConstraint": "part of a table",
    "warnings.catch_warnings": "an SDK that warns when it is imported",
    "warnings.filterwarnings": "an SDK that warns when it is imported",
}
# Built-ins and methods that compute a constant from constants.
PURE = {
    "dict",
    "dict.fromkeys",
    "frozenset",
    "len",
    "next",
    "object",
    "range",
    "round",
    "set",
    "sorted",
    "tuple",
    "zip",
}
PURE_METHODS = {"endswith", "format", "items", "join", "keys", "removeprefix", "split", "startswith", "values"}
# SQLAlchemy's words for a table are constants too, whichever of them a table needs.
TABLE_WORDS = re.compile(r"(sa|sqlalchemy|postgresql|sqlite)\.[A-Z]\w*$")
# Modules with a small language of their own, and why calling their own functions while imported builds nothing.
OWN_WORDS = {"bot/integrations/slack/fake_blocks.py": "its functions put the checks of Block Kit's fields together"}


@dataclass(frozen=True)
class Module:
    """A Python file: its path from the root of the checkout, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


Rule = Callable[[Module], Iterator[str]]


def has_a_docstring(module: Module) -> Iterator[str]:
    """Every module says in a sentence what it is; a package says the law of its room."""
    text = ast.get_docstring(module.tree) or ""
    kind = "package without its law" if module.path.endswith("__init__.py") else "module without a docstring"
    if len(text.split()) < 4 or not text.split("\n\n")[0].rstrip().endswith((".", ":")):
        yield f"{module.path}: {kind} (a sentence, with its full stop)"


def is_small(module: Module) -> Iterator[str]:
    lines = code_lines(module.text)
    if lines > MAX_CODE_LINES:
        yield f"{module.path}: {lines} code lines; split it at {MAX_CODE_LINES}"


def has_small_functions(module: Module) -> Iterator[str]:
    for function in functions(module.tree):
        # As ruff's PLR0915 counts, which does not count a return; two rules that disagree help nobody.
        count = sum(isinstance(node, ast.stmt) and not isinstance(node, ast.Return) for node in ast.walk(function)) - 1
        count -= ast.get_docstring(function) is not None
        if count > MAX_STATEMENTS:
            yield f"{module.path}:{function.lineno}: {function.name} has {count} statements; split it at {MAX_STATEMENTS}"


def imports_at_the_top(module: Module) -> Iterator[str]:
    if module.path in LOCAL_IMPORTS:
        return
    for function in functions(module.tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{module.path}:{node.lineno}: import inside {function.name}; it belongs at the top"


def builds_nothing(module: Module) -> Iterator[str]:
    """Importing a module makes types and constants; servers, clients and connections are made by who needs them."""
    if module.path.startswith(GENERATED) or module.path == "bot/migrations/env.py":
        return  # Alembic runs these files; nobody imports them.
    allowed = MAKES_A_CONSTANT.keys() | PURE | frozen_values(module.tree) | values_of_the_product()
    allowed |= {f"{name}.{word}" for name in command_lists(module.tree) for word in ("command", "callback")}
    if module.path in OWN_WORDS:
        allowed |= {function.name for function in functions(module.tree)}
    for call in calls_at_import(module.tree):
        name = dotted(call.func)
        pure = isinstance(call.func, ast.Attribute) and call.func.attr in PURE_METHODS
        if name not in allowed and not pure and not TABLE_WORDS.match(name):
            yield f"{module.path}:{call.lineno}: {name or 'a call'}() runs at import time; build it where it is needed"


def stands_on_nothing_false(module: Module) -> Iterator[str]:
    """Tests talk to real code over real wires."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            if names & {"mock", "unittest.mock", "pytest_mock"} or (names >= {"unittest"} and "mock" in names):
                yield f"{module.path}:{node.lineno}: a mock; use the stand-in over HTTP"
        elif isinstance(node, ast.Attribute) and dotted(node) in {
            "monkeypatch.setattr",
            "monkeypatch.setitem",
            "mocker.patch",
        }:
            yield f"{module.path}:{node.lineno}: {dotted(node)}; use the stand-in, or pass the value in"
        elif isinstance(node, ast.arg) and node.arg == "mocker":
            yield f"{module.path}:{node.lineno}: a mock; use the stand-in over HTTP"


def waits_for_something(module: Module) -> Iterator[str]:
    """A test that sleeps is slow when all is well and fails when the machine is busy."""
    for node in ast.walk(module.tree):
        slept = isinstance(node, ast.Attribute) and dotted(node) == "time.sleep"
        taken = (
            isinstance(node, ast.ImportFrom) and node.module == "time" and any(a.name == "sleep" for a in node.names)
        )
        if slept or taken:
            yield f"{module.path}:{node.lineno}: time.sleep; wait with ground.waiting.until or on an event"


def leaves_nothing_open(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", line):
            yield f"{module.path}:{number}: something left open: {line.strip()}"


def names_no_machine(module: Module) -> Iterator[str]:
    """No path of the machine it was written on, nor the address of a package index."""
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(r"(?<![\w.])/(home|root|Users|work)/\w|--(extra-)?index-url|https?://[^\s\"']+/simple\b", line):
            yield f"{module.path}:{number}: names a machine or an index: {line.strip()}"


PRODUCT_RULES = [has_a_docstring, is_small, has_small_functions, imports_at_the_top, builds_nothing]
TEST_RULES = [stands_on_nothing_false, waits_for_something]
TEXT_RULES = [leaves_nothing_open, names_no_machine]


def code_lines(text: str) -> int:
    """Lines that hold code: not blank, not only a comment, not part of a docstring."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def frozen_values(tree: ast.Module) -> set[str]:
    """The frozen dataclasses, frozen models and enums a module defines: calling one of these makes a value."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            bases = {dotted(base) for base in node.bases}
            settings = " ".join(ast.unparse(part) for part in node.body if isinstance(part, ast.Assign))
            if "frozen=True" in decorators + settings or bases & {"Enum", "StrEnum", "IntEnum", "NamedTuple"}:
                found.add(node.name)
    return found


def command_lists(tree: ast.Module) -> set[str]:
    """The names a module gives to lists of commands: adding a command to one runs nothing."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    typers = [node for node in assigned if dotted(node.value.func) == "typer.Typer"]
    return {dotted(target) for node in typers for target in node.targets}


@functools.cache
def values_of_the_product() -> frozenset[str]:
    return frozenset().union(*(frozen_values(module.tree) for module in product()))


def calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Every call that runs when the module is imported: not those in functions, but those in their decorators and defaults."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            now = [*child.args.defaults, *(default for default in child.args.kw_defaults if default)]
            for part in [*now, *getattr(child, "decorator_list", [])]:
                yield from calls_at_import(ast.Expr(part))
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "__name__ == '__main__'":
            continue
        else:
            yield from calls_at_import(child)


def imported(module: Module, known: set[str]) -> set[str]:
    """The modules of this tree that a module imports, wherever in it the import stands."""
    name = dotted_path(module.path)
    package = name if module.path.endswith("__init__.py") else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.update(longest(alias.name, known) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update(longest(f"{base}.{alias.name}", known) for alias in node.names)
    return found - {"", name}


def longest(name: str, known: set[str]) -> str:
    """The deepest module of this tree that a dotted name lies in; empty when it lies outside."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def dotted_path(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One import cycle, its first module named again at the end; empty when there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            found = walk(other, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for found in (walk(name, []) for name in sorted(graph)) if found), [])


def graph_of(modules: list[Module]) -> dict[str, set[str]]:
    known = {dotted_path(module.path) for module in modules}
    return {dotted_path(module.path): imported(module, known) for module in modules}


def read(paths: list[Path]) -> list[Module]:
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(paths)]


def product() -> list[Module]:
    return read([path for package in PACKAGES for path in (ROOT / package).rglob("*.py")])


def written_tests() -> list[Module]:
    return read(list((ROOT / "tests").rglob("*.py")))


def texts() -> list[Module]:
    """All that is written by hand, and the lock files."""
    kinds = {".py", ".yml", ".yaml", ".md", ".toml", ".lock", ".html", ".css", ".js", ".sh", ".json", ""}
    rooms = [ROOT / room for room in (*PACKAGES, "tests", "deploy", ".ci")]
    paths = [path for room in rooms for path in room.rglob("*") if "__pycache__" not in path.parts]
    paths += [path for path in ROOT.iterdir() if not path.name.startswith(".git")]
    # This file has to spell out what it forbids.
    return read(
        [path for path in paths if path.is_file() and path.suffix in kinds and path != Path(__file__).resolve()]
    )


@pytest.mark.parametrize("rule", PRODUCT_RULES)
def test_the_product_keeps_the_rule(rule: Rule):
    modules = product()
    assert len(modules) > 10
    assert [found for module in modules for found in rule(module)] == []


@pytest.mark.parametrize("rule", TEST_RULES)
def test_the_tests_keep_the_rule(rule: Rule):
    modules = written_tests()
    assert len(modules) > 5
    assert [found for module in modules for found in rule(module)] == []


@pytest.mark.parametrize("rule", TEXT_RULES)
def test_everything_written_keeps_the_rule(rule: Rule):
    written = texts()
    assert {"pyproject.toml", "requirements.lock", "Dockerfile", ".ci/run", "bot/errors.py"} <= {
        text.path for text in written
    }
    assert [found for text in written for found in rule(text)] == []


def test_no_import_goes_round_in_a_circle():
    assert cycle(graph_of(product())) == []


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    folders -= {ROOT / GENERATED, ROOT / GENERATED.rpartition("versions")[0]}  # Alembic finds its files by path.
    assert [
        folder.relative_to(ROOT).as_posix() for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ] == []


def test_every_requirement_is_locked_with_its_hashes():
    """What is installed is what was locked: each requirement is pinned and carries at least one hash."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^ *#.*\n?", "", (ROOT / name).read_text()).strip())
        assert len(entries) > 20
        loose = [entry.split("\n")[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
        assert loose == [], name


GOOD = '''"""Says what it is."""

import logging
import re
from dataclasses import dataclass, field

import sqlalchemy as sa
import typer

WORD = re.compile("[a-z]+")
NAMES = frozenset({"a"})
TABLE = sa.Table("t", sa.MetaData(), sa.Column("n", sa.Integer))
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    left: int
    right: list[int] = field(default_factory=list)


ORIGIN = Pair(0)
commands = typer.Typer()


@commands.command("say")
def say():
    print(ORIGIN)


def builds(make=len):
    server = open("x")
    return [server, make(server)]


if __name__ == "__main__":
    builds()
'''


def _statements(count: int) -> str:
    return '"""Is long."""\n\ndef f():\n    """Does it."""\n' + "    x = 1\n" * count


BAD = [
    (has_a_docstring, "bot/x.py", "import re\n"),
    (has_a_docstring, "bot/x.py", '"""Module."""\n'),
    (has_a_docstring, "bot/x/__init__.py", ""),
    (has_a_docstring, "bot/x/__init__.py", '"""The law of this room without an end"""\n'),
    (is_small, "bot/x.py", "x = 1\n" * (MAX_CODE_LINES + 1)),
    (is_small, "bot/x.py", "x = [\n" + "1,\n" * MAX_CODE_LINES + "]\n"),
    (is_small, "bot/x.py", 'x = """' + "text\n" * (MAX_CODE_LINES + 1) + '"""\n'),
    (has_small_functions, "bot/x.py", _statements(MAX_STATEMENTS + 1)),
    (
        has_small_functions,
        "bot/x.py",
        "class A:\n    async def f(self):\n        if 1:\n" + "            x = 1\n" * MAX_STATEMENTS,
    ),
    (imports_at_the_top, "bot/x.py", "def f():\n    import re\n"),
    (imports_at_the_top, "bot/x.py", "class A:\n    def f(self):\n        if self:\n            from bot import web\n"),
    (builds_nothing, "bot/x.py", "app = Starlette()\n"),
    (builds_nothing, "bot/x.py", "import requests\nsession = requests.Session()\n"),
    (builds_nothing, "bot/x.py", "class A:\n    client = connect()\n"),
    (builds_nothing, "bot/x.py", "def f(client=connect()):\n    pass\n"),
    (builds_nothing, "bot/x.py", "@app.command('/x')\ndef f():\n    pass\n"),
    (builds_nothing, "bot/x.py", "f = lambda x=connect(): x\n"),
    (builds_nothing, "bot/x.py", "if True:\n    threads = [start(n) for n in range(3)]\n"),
    (builds_nothing, "bot/x.py", "engine = sa.create_engine('sqlite://')\n"),
    (builds_nothing, "bot/x.py", "import os\nHOME = os.environ.get('HOME')\n"),
    (builds_nothing, "bot/x.py", "NAMES = frozenset(load())\n"),
    (builds_nothing, "bot/x.py", "@dataclass\nclass A:\n    n: int\nA_SERVER = A(1)\n"),
    (stands_on_nothing_false, "tests/x.py", "from unittest.mock import Mock\n"),
    (stands_on_nothing_false, "tests/x.py", "from unittest import mock\n"),
    (stands_on_nothing_false, "tests/x.py", "import unittest.mock\n"),
    (stands_on_nothing_false, "tests/x.py", "def test(monkeypatch):\n    monkeypatch.setattr('bot.web.x', 1)\n"),
    (stands_on_nothing_false, "tests/x.py", "def test(mocker):\n    pass\n"),
    (waits_for_something, "tests/x.py", "import time\ndef test():\n    time.sleep(1)\n"),
    (waits_for_something, "tests/x.py", "from time import sleep\n"),
    (leaves_nothing_open, "bot/x.py", "x = 1  # TODO: later\n"),
    (leaves_nothing_open, "drills/x.yml", "# FIXME\n"),
    (names_no_machine, "bot/x.py", "x = '/home/somebody/captain'\n"),
    (names_no_machine, "requirements.lock", "--index-url=x\n"),
]


@pytest.mark.parametrize(
    ("rule", "path", "text"), BAD, ids=[f"{rule.__name__}-{n}" for n, (rule, _, _) in enumerate(BAD)]
)
def test_the_rule_finds_what_breaks_it(rule: Rule, path: str, text: str):
    found = list(rule(Module(path, text)))
    assert found
    assert all(line.startswith(path) for line in found)


@pytest.mark.parametrize("rule", [*PRODUCT_RULES, *TEST_RULES, *TEXT_RULES])
def test_the_rule_leaves_good_code_alone(rule: Rule):
    assert list(rule(Module("bot/good.py", GOOD))) == []


def test_each_rule_has_its_proof():
    assert {rule for rule, _, _ in BAD} == {*PRODUCT_RULES, *TEST_RULES, *TEXT_RULES}


def test_the_limits_are_where_they_say():
    assert list(is_small(Module("bot/x.py", "x = 1\n" * MAX_CODE_LINES))) == []
    assert list(has_small_functions(Module("bot/x.py", _statements(MAX_STATEMENTS)))) == []
    assert (
        code_lines('"""Doc\n\nstring."""\n\n# comment\nx = 1  # one\n\ndef f():\n    """Doc."""\n    return x\n') == 3
    )


def test_only_connect_may_import_inside_a_function():
    text = "def connect():\n    import bot.integrations.jira.client\n"
    assert list(imports_at_the_top(Module("bot/integrations/connect.py", text))) == []
    assert list(imports_at_the_top(Module("bot/integrations/other.py", text))) != []


@pytest.mark.parametrize(
    "bodies",
    [
        {"a": "import b\n", "b": "import a\n"},
        {"a": "import b\n", "b": "def f():\n    from c import x\n", "c": "from a import y\n"},
        {"p/__init__": "", "p/a": "from . import b\n", "p/b": "from p.a import x\n"},
        {"p/__init__": "from p import a\n", "p/a": "from p import thing\n"},
    ],
    ids=["two", "three with a late one", "relative", "a package and its module"],
)
def test_a_cycle_is_found(bodies: dict[str, str]):
    found = cycle(graph_of([Module(f"{name}.py", text) for name, text in bodies.items()]))
    assert len(found) > 2
    assert found[0] == found[-1]


def test_no_cycle_is_made_up():
    bodies = {
        "a": "import b\nimport c\n",
        "b": "import c\n",
        "c": "import os\n",
        "p/__init__": "",
        "p/a": "from p import b\n",
        "p/b": "",
    }
    assert cycle(graph_of([Module(f"{name}.py", text) for name, text in bodies.items()])) == []
