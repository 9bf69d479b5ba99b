"""Runs the suites side by side and says how long each took: `python tests/suites.py check|install|all|<suite> ...`.

Each suite's output goes to `.build/logs/<suite>.log`; what failed is printed whole, what passed in one line.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".build" / "logs"
BIN = ROOT / ".venv" / "bin"
NODE = ROOT / ".build" / "node" / "bin"
# Two lanes: the machines this runs on have two cores, and more lanes only make time-outs likelier.
LANES = 2


@dataclass(frozen=True)
class Suite:
    """Commands that run one after the other; `counts` finds how many tests passed in the output."""

    name: str
    commands: Sequence[Sequence[str]]
    folder: Path = ROOT
    counts: str = r"(\d+) passed"


PYTEST = (str(BIN / "pytest"), "-q")

CHECK = Suite(
    "check",
    (
        (str(BIN / "ruff"), "format", "--check", "src", "tests", "bench", "fuzz"),
        (str(BIN / "ruff"), "check", "src", "tests", "bench", "fuzz"),
        (str(BIN / "mypy"),),
        (str(BIN / "lint-imports"),),
        ("cargo", "fmt", "--all", "--check"),
        ("cargo", "fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"),
        ("cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"),
        (*PYTEST, "tests/test_tidy.py", "tests/test_conformance.py"),
    ),
)
RUST = Suite(
    "rust",
    (("cargo", "test", "--locked", "--workspace", "--exclude", "shoal-python"),),
    counts=r"(\d+) passed; 0 failed",
)
# The counts are those of the tests under sanitizers; a search that finds something ends the suite.
FUZZ = Suite("fuzz", ((str(BIN / "python"), "fuzz/run.py", "--seconds", "20"),), counts=r"(\d+) passed; 0 failed")
# Apart, so that the lanes end together: every test of the API has a whole installation behind it.
API = Suite("api", ((*PYTEST, "tests/unit/api"),))
UNIT = Suite("unit", ((*PYTEST, "tests/unit", "--ignore", "tests/unit/api"),))
PROPERTY = Suite("property", ((*PYTEST, "tests/property", "-m", "not kafka"),))
KAFKA = Suite("kafka", ((*PYTEST, "tests/property", "-m", "kafka"),))
# The same rooms, and the stories of a farm on a clock of their own, on PostgreSQL.
ON_POSTGRES = (
    *("storage", "stream", "inventory", "identity", "credentials", "commands", "history", "health", "alerting"),
    *("notifications", "campaigns", "authority", "policies", "sharing", "onboarding"),
)
ROOMS_STORIES = ("silent_camera", "low_battery", "wrong_enclosure", "model_update", "roll_back", "escalation")
POSTGRES = Suite(
    "postgres",
    (
        (
            *(str(BIN / "python"), "-m", "tests.harness.postgres"),
            *PYTEST,
            *(f"tests/unit/{room}" for room in ON_POSTGRES),
            "tests/unit/app/test_first_start.py",
            # Several gateways share a database that several processes write.
            *(f"tests/unit/gateway/test_{file}.py" for file in ("nodes", "node_store", "store", "checkpoints")),
            *(f"tests/unit/cli/test_{group}.py" for group in ("device", "credential", "security_log", "policy")),
            *(f"tests/stories/test_{story}.py" for story in ROOMS_STORIES),
        ),
    ),
)
STORIES = Suite("stories", ((*PYTEST, "tests/stories"),))
INTEROP = Suite("interop", ((*PYTEST, "tests/interop"),))
FAULTS = Suite("faults", ((*PYTEST, "tests/faults"),))
WEB = Suite(
    "web",
    (("npm", "run", "--silent", "check"), ("npm", "test", "--silent")),
    folder=ROOT / "web",
    counts=r"Tests\s+(\d+) passed",
)
BROWSER = Suite("browser", (("npm", "run", "--silent", "e2e"),), folder=ROOT / "web")

# The longest first, so that the lanes end together.
SUITES = (BROWSER, RUST, STORIES, FAULTS, UNIT, CHECK, FUZZ, API, POSTGRES, INTEROP, KAFKA, WEB, PROPERTY)

# Commands the suites need, with the Debian package that brings each.
PACKAGES = (
    ("chromium", "chromium"),
    ("coap-client-notls", "libcoap3-bin"),
    ("javac", "openjdk-17-jdk-headless"),
    ("mvn", "maven"),
    ("pg_ctlcluster", "postgresql"),
)
# What comes from Maven Central, once, into `.build`: modules that fetch when they are run, so that no test has to.
FETCHES = (("Kafka", "tests.harness.broker"), ("the Leshan client", "tests.harness.peers"))


def run(suite: Suite) -> tuple[Suite, bool, int, float]:
    """Runs one suite to its end or to its first failing command."""
    began = time.monotonic()
    environment = os.environ | {"PATH": f"{NODE}:{BIN}:{os.environ['PATH']}", "PYO3_BUILD_EXTENSION_MODULE": "1"}
    environment["PYTHONPATH"] = str(ROOT)  # the harness can be run as a program
    environment["NO_COLOR"] = "1"  # the counts are read from the output
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # many tests start a process: compiling anew would be most of it
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{suite.name}.log"
    passed = True
    with path.open("wb") as log:
        for command in suite.commands:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            done = subprocess.run(
                command, cwd=suite.folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            )
            if done.returncode != 0:
                log.write(f"exit code {done.returncode}\n".encode())
                passed = False
                break
    text = path.read_text(errors="replace")
    return suite, passed, sum(int(n) for n in re.findall(suite.counts, text)), time.monotonic() - began


def run_all(suites: Sequence[Suite]) -> int:
    """Runs suites in lanes, prints a table, returns an exit code."""
    results = []
    began = time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        for suite, passed, count, seconds in lanes.map(run, suites):
            print(
                f"{'ok    ' if passed else 'FAILED'}  {suite.name:<10} {count:>5} tests  {seconds:6.0f} s", flush=True
            )
            results.append((suite, passed, count))
            if not passed:
                print((LOGS / f"{suite.name}.log").read_text(errors="replace")[-20_000:], flush=True)
    failed = [suite for suite, passed, _ in results if not passed]
    print(f"{len(results) - len(failed)} of {len(results)} suites passed in {time.monotonic() - began:.0f} s")
    print(f"{sum(count for _, _, count in results)} passed, {len(failed)} failed")
    return 1 if failed else 0


def install() -> int:
    """What the tests need beyond the Python and web packages; says what to do by hand where it may not do it itself."""
    missing = [package for command, package in PACKAGES if shutil.which(command) is None]
    if missing and not install_packages(missing):
        return 1
    for name, module in FETCHES:
        done = subprocess.run([BIN / "python", "-m", module], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"Could not fetch {name}. Is Maven Central there?\n{done.stderr[-2_000:]}", file=sys.stderr)
            return 1
    return 0


def install_packages(missing: Sequence[str]) -> bool:
    """Installs Debian packages, which only root may; whether they are there now."""
    by_hand = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0:
        print(f"The tests need these Debian packages: {' '.join(missing)}. As root: {by_hand}", file=sys.stderr)
        return False
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
    ):
        if subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False).returncode != 0:
            print(f"Could not install {' '.join(missing)}. Is the network there? By hand: {by_hand}", file=sys.stderr)
            return False
    return True


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    names = {suite.name: suite for suite in SUITES}
    match arguments:
        case ["install"]:
            return install()
        case ["all"]:
            return run_all(SUITES)
        case [_, *_] if all(name in names for name in arguments):
            return run_all([names[name] for name in arguments])
    print(f"{__doc__}\nSuites: {' '.join(names)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
