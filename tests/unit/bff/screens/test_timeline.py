import pytest
from pydantic import JsonValue

from shoal.bff.screens.timeline import detail_text


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (None, ""),
        ("POST /dp 2.04", "POST /dp 2.04"),
        ({"code": "4.03", "reason": None, "retried": True}, "code: 4.03\nretried: yes"),
        (["a", 2, False], "a\n2\nno"),
        (7, "7"),
    ],
)
def test_the_detail_of_a_row_reads_line_by_line(detail: JsonValue, text: str) -> None:
    assert detail_text(detail) == text
