"""The health check of a container: ready, not ready, nobody there, somebody else's certificate."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from shoal.ready import asked, main
from tests.harness.authority import Authority


@contextmanager
def answering(status: int, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    class Ops(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(
                {"ready": status == 200, "away": {"log": "no broker answers"}, "path": self.path}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ops) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_process_that_is_ready_is_zero() -> None:
    with answering(200) as url:
        assert asked(url, None) == 0


def test_a_process_that_is_not_ready_is_one_and_says_what_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(503) as url, pytest.raises(SystemExit) as ended:
        main([url])

    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "no broker answers" in said
    assert "/readyz" in said


def test_nobody_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("http://localhost:1", None) == 1
    assert "refused" in capsys.readouterr().err


def test_only_the_named_authority_is_believed(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    certificate = ours.certificate("gateway")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)

    with answering(200, context) as url:
        assert asked(url, str(ours.ca)) == 0
        assert asked(url, str(other.ca)) == 1
