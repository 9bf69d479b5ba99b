"""Sends what nobody would think of: `python fuzz/run.py [--seconds N] [TARGET ...]`.

libFuzzer makes up stories of datagrams and bytes; the gateway, the protocol crates and the C beneath them run under the
address and undefined-behaviour sanitizers meanwhile. Then the tests of the crate that calls C run under them, too.
What was found before is kept in `.build/fuzz/corpus` and tried first; a story that broke something is in
`.build/fuzz/found`, and `python fuzz/run.py TARGET --story FILE` plays it again.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILT: Final = ROOT / ".build" / "fuzz"
TARGETS: Final = ("living", "beginning", "connection", "formats")

WEIGHING: Final = ("half_open", "memory")

# Coverage as libFuzzer reads it.
_RUST: Final = (
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
)
_SANITIZERS: Final = "-fsanitize=address,undefined"
# Rust links without the compiler's own libraries. The sanitizer's `malloc` counts only if it is in the program itself.
_LINKED: Final = tuple(
    f"-Clink-arg={argument}"
    for argument in (
        *("-Wl,--whole-archive", "-l:libasan.a", "-Wl,--no-whole-archive", "-l:libubsan.a", "-Wl,--export-dynamic"),
        *("-lstdc++", "-lm", "-ldl", "-lpthread", "-lrt", "-lresolv"),
    )
)
# Mbed TLS compares nothing with nothing, by null pointers: no more than a word of the standard is broken by that.
_C: Final = f"{_SANITIZERS} -fno-sanitize=nonnull-attribute -fno-sanitize-recover=undefined -fno-omit-frame-pointer"

# Far above what a story may take, far below what a machine has.
RSS_MIB_MAX: Final = 2_048
STORY_TAKES_S_MAX: Final = 60
STORY_BYTES_MAX: Final = 8_192


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; by default all")
    parser.add_argument("--seconds", type=int, default=60, help="how long each target runs (60)")
    parser.add_argument("--story", type=Path, help="play this one again instead")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.story is not None and len(options.targets) != 1:
        parser.error("a story is of one target")
    host = _host()
    _build(host)
    for target in targets:
        binary = BUILT / host / "release" / target
        if options.story is not None:
            return _run([binary, options.story.resolve()])
        if code := _search(target, binary, options.seconds):
            return code
    return 0 if options.targets else _test(host)


def _search(target: str, binary: Path, seconds: int) -> int:
    corpus, found = BUILT / "corpus" / target, BUILT / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    return _run(
        [
            binary,
            corpus,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={found}/{target}-",
            f"-rss_limit_mb={RSS_MIB_MAX}",
            f"-timeout={STORY_TAKES_S_MAX}",
            f"-max_len={STORY_BYTES_MAX}",
            "-print_final_stats=1",
        ]
    )


def _build(host: str) -> None:
    command = ["build", "--locked", "--release", "--target", host, "--manifest-path", str(ROOT / "fuzz" / "Cargo.toml")]
    _cargo(command, host, (*_RUST, *_LINKED), BUILT)


def _test(host: str) -> int:
    """The tests of the crates that call C, but for those that weigh memory: a sanitizer adds to each allocation."""
    tests = [f"--test={path.stem}" for path in (ROOT / "crates" / "dtls" / "tests").glob("*.rs")]
    tests = [test for test in tests if test.removeprefix("--test=") not in WEIGHING]
    for crate in (["dtls", "--lib", *tests], ["shoal-mbedtls-sys"]):
        _cargo(["test", "--locked", "--target", host, "-p", *crate], host, _LINKED, BUILT / "tests")
    return 0


def _cargo(arguments: Sequence[str], host: str, flags: Sequence[str], target: Path) -> None:
    # Flags of the target alone: build scripts and macros run as they are.
    environment = os.environ | {
        "CARGO_TARGET_DIR": str(target),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        f"CFLAGS_{host.replace('-', '_')}": _C,
        # Mbed TLS keeps a table for the whole process, and a thread that ends leaves its buffers to it.
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYO3_BUILD_EXTENSION_MODULE": "1",
    }
    done = subprocess.run([_tool("cargo"), *arguments], cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def _run(command: Sequence[Path | str]) -> int:
    # A leak shows as memory that grows, which libFuzzer watches; its own search for leaks needs to trace the process.
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return subprocess.run([str(part) for part in command], env=environment, check=False).returncode


def _host() -> str:
    """The triple of this machine, as Rust calls it."""
    told = subprocess.run([_tool("rustc"), "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.removeprefix("host: ") for line in told.splitlines() if line.startswith("host: "))


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not there: https://rustup.rs")
    return found


if __name__ == "__main__":
    sys.exit(main())
