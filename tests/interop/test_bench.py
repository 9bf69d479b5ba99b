"""The benchmarks work: every set-up is measured, and nothing that was acknowledged is missing. How fast is not a test."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.leshan
@pytest.mark.slow
@pytest.mark.timeout(900)  # it compiles the load generator, and starts a Java machine a dozen times
def test_a_short_run_measures_every_set_up_and_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "result.json"

    done = subprocess.run(
        ["make", "--silent", "bench-short", f"ARGS=--output {output}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4_000:]
    result = json.loads(output.read_text())
    measured = {(it["phase"], it["operation"], it["setup"]) for it in result["measures"] if it["operations"]}
    for phase, operation in (
        ("coap", "register"),
        ("coap", "update"),
        ("coap", "send"),
        ("observed", "notify"),
        ("dtls", "handshake"),
        ("dtls", "resume"),
        ("dtls", "send"),
        ("x509", "handshake"),
        ("x509", "resume"),
        ("coap latency", "send"),
    ):
        setups = {"leshan", "hands"} | ({"embedded"} if phase != "x509" else set())
        assert {setup for setup in setups if (phase, operation, setup) not in measured} == set()
        assert f"| {operation}, {phase} | hands |" in done.stdout or "latency" in phase
    # Whoever offers to go on from a session does, at both servers.
    assert [it for it in result["measures"] if "a full handshake" in it["errors"]] == []
    [storm] = result["storm"]
    assert (storm["back"], storm["back_errors"], storm["report_errors"]) == (storm["returning"], {}, {})
    assert storm["reports"] > 0
    [restart] = result["restart"]
    assert (restart["restored"], restart["handshakes"], restart["register"]) == (restart["devices"], 0, 0)
    [ours] = [it for it in result["soak"] if it["setup"] == "embedded"]
    assert ours["stored_readings"] >= ours["acknowledged"] > 0
    assert result["health"]["sqlite"]["events"] > 0
