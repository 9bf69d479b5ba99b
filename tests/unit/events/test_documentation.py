"""docs/events.md says what src/shoal/events says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from shoal.events.topics import TOPICS

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_events", DOCS / "generate_events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    written = (DOCS / "events.md").read_text("utf-8")

    assert written == generator.page(), "run `python docs/generate_events.py`"


def test_every_topic_and_every_event_is_on_it(generator: ModuleType) -> None:
    lines = generator.page().splitlines()

    assert [topic.name for topic, _ in generator.TOPICS] == [topic.name for topic in TOPICS]
    for topic, union in generator.TOPICS:
        assert f"## {topic.name}" in lines
        for kind in generator.kinds(union):
            assert f"### {kind.__struct_config__.tag}" in lines


def test_every_link_leads_somewhere(generator: ModuleType) -> None:
    page = generator.page()
    titles = {line.lstrip("# ") for line in page.splitlines() if line.startswith("#")}
    anchors = {generator._anchor(title) for title in titles}

    assert {part.split(")")[0] for part in page.split("](#")[1:]} <= anchors
