"""The Dockerfile, read as Docker would: no root, nothing unpinned, nothing that a read-only file system refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """(word, rest) of each instruction, with comments dropped and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def stages(found: list[Instruction]) -> list[list[Instruction]]:
    parts: list[list[Instruction]] = []
    for instruction in found:
        if instruction[0] == "FROM":
            parts.append([])
        parts[-1].append(instruction)
    return parts


def rest(stage: list[Instruction], word: str) -> list[str]:
    return [text for name, text in stage if name == word]


def faults(text: str, root: Path) -> list[str]:
    """What is wrong with a Dockerfile, a sentence each."""
    parts = stages(instructions(text))
    images = [rest(stage, "FROM")[0].split()[0] for stage in parts]
    wrong = [f"{image} is not pinned to a version" for image in images if not re.search(r":\d+\.\d+", image)]
    if "--require-hashes" not in " ".join(rest(parts[0], "RUN")):
        wrong.append("what is installed is not checked against its hashes")
    return [*wrong, *faults_of_copies(parts, root), *faults_of_the_last(parts[-1])]


def faults_of_copies(parts: list[list[Instruction]], root: Path) -> list[str]:
    copies = [words.split() for stage in parts for words in rest(stage, "COPY") if "--from=" not in words]
    sources = [source for words in copies for source in words[:-1] if not source.startswith("--")]
    missing = [f"COPY {source}: not in the checkout" for source in sources if not (root / source).exists()]
    return missing + [f"COPY {source}: takes everything" for source in sources if source in {".", "./", "*"}]


def faults_of_the_last(stage: list[Instruction]) -> list[str]:
    health = (rest(stage, "HEALTHCHECK") or [""])[0]
    exec_forms = [
        len(rest(stage, word)) == 1 and rest(stage, word)[0].startswith("[") for word in ("ENTRYPOINT", "CMD")
    ]
    checks = {
        "the last USER is not a number above 999": re.fullmatch(
            r"[1-9]\d{3,}(:[1-9]\d{3,})?", (rest(stage, "USER") or [""])[-1]
        ),
        "ENTRYPOINT is not given once in exec form": exec_forms[0],
        "CMD is not given once in exec form": exec_forms[1],
        "HEALTHCHECK does not ask /healthz with python": "/healthz" in health and '["python"' in health,
        "Python would write bytecode beside the code": "PYTHONDONTWRITEBYTECODE=1" in " ".join(rest(stage, "ENV")),
        "/data is no volume": "/data" in " ".join(rest(stage, "VOLUME")),
        "the last stage runs something: it belongs in the build": not rest(stage, "RUN"),
    }
    return [sentence for sentence, fine in checks.items() if not fine]


def test_the_image_is_built_as_it_should_be():
    assert faults((ROOT / "Dockerfile").read_text(), ROOT) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("python:3.11-slim-bookworm\n", "python:latest\n", "not pinned"),
        ("python:3.11-slim-bookworm AS", "python AS", "not pinned"),
        ("USER 10001:10001", "USER root", "USER"),
        ("USER 10001:10001", "USER 0", "USER"),
        ("USER 10001:10001\n", "", "USER"),
        ('CMD ["serve"]', "CMD serve", "CMD"),
        ('ENTRYPOINT ["captain"]', "ENTRYPOINT captain", "ENTRYPOINT"),
        ("/healthz", "/", "HEALTHCHECK"),
        ("PYTHONDONTWRITEBYTECODE=1", "X=1", "bytecode"),
        ('VOLUME ["/data"]\n', "", "volume"),
        ("COPY bot ./bot", "COPY botx ./bot", "COPY botx"),
        ("COPY bot ./bot", "COPY . .", "takes everything"),
        ('"--require-hashes", ', "", "hashes"),
        ("EXPOSE 8080", "RUN pip install x", "last stage"),
    ],
)
def test_a_fault_is_found(before: str, after: str, found: str):
    text = (ROOT / "Dockerfile").read_text()
    assert before in text
    assert any(found in sentence for sentence in faults(text.replace(before, after), ROOT))


def test_the_entry_point_is_the_command_this_project_installs():
    last = stages(instructions((ROOT / "Dockerfile").read_text()))[-1]
    program = json.loads(rest(last, "ENTRYPOINT")[0])
    assert f'{program[0]} = "bot.__main__:main"' in (ROOT / "pyproject.toml").read_text()


def test_what_is_copied_is_let_through_and_nothing_else():
    """.dockerignore shuts everything out but what the Dockerfile copies."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = set()
    for stage in stages(instructions((ROOT / "Dockerfile").read_text())):
        for text in rest(stage, "COPY"):
            if "--from=" not in text:
                copied.update(text.split()[:-1])
    assert copied == let_in


def test_every_package_is_copied():
    settings = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"\[tool.setuptools.packages.find\]\ninclude = \[(.*)\]", settings)
    assert packages
    text = (ROOT / "Dockerfile").read_text()
    for package in re.findall(r'"(\w+)\*"', packages[1]):
        assert f"COPY {package} ./{package}" in text
