"""The house rules that no linter knows (CONTRIBUTING.md)."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "shoal"

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager"}
# Words that are wrong wherever they stand in a name; the field has its own for each (docs/glossary.md).
FORBIDDEN_WORDS = re.compile(r"offline|alarm|telemetry|subscription|provisioning|rollout", re.IGNORECASE)
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# Which of our crates each crate may use: docs/architecture.md.
CRATE_EDGES = {
    "coap": set(),
    "shoal-mbedtls-sys": set(),
    "dtls": {"shoal-mbedtls-sys"},
    "lwm2m": {"coap"},
    "gateway": {"coap", "dtls", "lwm2m"},
    "device": {"coap", "dtls", "lwm2m"},
    "net": {"gateway", "device"},
    "shoal-python": {"net", "gateway", "device", "lwm2m"},
    "load": {"coap", "dtls"},
}


def python_files() -> Iterator[Path]:
    yield from (path for path in SOURCE.rglob("*.py") if "migrations/versions" not in path.as_posix())


def rust_files() -> Iterator[Path]:
    yield from (ROOT / "crates").glob("*/src/**/*.rs")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    stems = [(path, {path.stem.strip("_"), path.parent.name}) for path in (*python_files(), *rust_files())]

    assert [relative(path) for path, names in stems if names & FORBIDDEN_NAMES] == []


def test_every_file_is_one_idea() -> None:
    long = {relative(path): len(path.read_text().splitlines()) for path in (*python_files(), *rust_files())}

    assert {path: lines for path, lines in long.items() if lines > FILE_LINES_MAX} == {}


def test_every_function_fits_on_a_screen() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name} {node.end_lineno - node.lineno + 1} lines"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == []


def test_every_python_file_has_its_test() -> None:
    """src/shoal/health/silence.py is tested by tests/unit/health/test_silence.py."""
    unmirrored = [
        relative(path)
        for path in python_files()
        if path.name != "__init__.py"
        and not (ROOT / "tests" / "unit" / path.relative_to(SOURCE).parent / f"test_{path.stem}.py").exists()
        and path.relative_to(SOURCE).as_posix() not in TESTED_ELSEWHERE
    ]

    assert unmirrored == []


# What other suites prove better than a unit test could, and which.
TESTED_ELSEWHERE: dict[str, str] = {
    "app/composition.py": "tests/stories/test_demo.py",
    "cli/__main__.py": "tests/stories/test_demo.py",
    "credentials/tables.py": "tests/unit/credentials/test_anchor_store.py",
    "gateway/tables.py": "tests/unit/gateway/test_node_store.py",
    "app/roles.py": "tests/stories/test_demo.py",
    "app/watching.py": "tests/faults/test_refusals.py",
    "authority/tables.py": "tests/unit/authority/test_store.py",
    "demo/run.py": "tests/stories/test_demo.py",
    "history/tables.py": "tests/unit/history/test_refusal_store.py",
    "identity/tables.py": "tests/unit/identity/test_store.py",
    "policies/tables.py": "tests/unit/policies/test_store.py",
    "events/alert.py": "tests/property/test_event_codec.py",
    "events/campaign.py": "tests/property/test_event_codec.py",
    "events/codec.py": "tests/property/test_event_codec.py",
    "events/condition.py": "tests/property/test_event_codec.py",
    "events/device.py": "tests/property/test_event_codec.py",
    "events/envelope.py": "tests/property/test_event_codec.py",
    "events/topics.py": "tests/property/test_event_codec.py",
    "stream/group.py": "tests/property/test_stream_parity.py",
}


def test_crates_depend_on_each_other_only_as_drawn() -> None:
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
    )
    edges = {
        package["name"]: {
            dependency["name"]
            for dependency in package["dependencies"]
            if dependency.get("path") and dependency["kind"] is None
        }
        for package in metadata["packages"]
    }

    assert {name: sorted(uses - CRATE_EDGES[name]) for name, uses in edges.items() if uses - CRATE_EDGES[name]} == {}


def test_every_limit_says_why() -> None:
    """A constant that ends in _MAX has a comment above it or beside it."""
    bare = []
    for path in (*python_files(), *rust_files()):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if not re.match(r"\s*(pub(\(crate\))? )?(const )?[A-Z][A-Z0-9_]*_MAX\b\s*(:|=)", line):
                continue
            above = lines[number - 1].strip() if number else ""
            if not above.startswith(("#", "//", '"')) and not re.search(r"(#|//)", line):
                bare.append(f"{relative(path)}:{number + 1}")

    assert bare == []


def test_no_public_name_holds_a_word_of_another_trade() -> None:
    wrong = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and FORBIDDEN_WORDS.search(node.name)
    ]
    for path in rust_files():
        names = re.findall(r"^\s*pub (?:fn|struct|enum|trait|const|mod) (\w+)", path.read_text(), re.MULTILINE)
        wrong.extend(f"{relative(path)}: {name}" for name in names if FORBIDDEN_WORDS.search(name))

    assert wrong == []


@pytest.mark.parametrize("folder", ["src", "crates"])
def test_a_folder_appears_when_its_second_file_does(folder: str) -> None:
    lonely = [
        relative(path)
        for path in (ROOT / folder).rglob("*")
        if path.is_dir()
        and path.name not in {"src", "tests", "bin", "examples", "__pycache__", "versions"}
        and path.parent != ROOT / "crates"
        and path.parent.name != "tests"  # cargo takes what tests share from a folder only
        and "__pycache__" not in path.parts
        and len([child for child in path.iterdir() if child.name not in {"__init__.py", "__pycache__"}]) == 1
    ]

    assert lonely == []


def test_the_version_is_the_same_everywhere() -> None:
    python = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    rust = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)

    assert python is not None
    assert rust is not None
    assert python[1] == rust[1]
