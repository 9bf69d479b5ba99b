"""While the log is away, what devices said waits on disk in its order; nothing is lost and nothing overtakes."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shoal.errors import Rejected, Unavailable
from shoal.events.topics import DEVICE, Topic
from shoal.stream.log import PageIn
from shoal.stream.spool import FILE, Spool

MEBIBYTE = 1 << 20
PATIENCE_S = 30


class FlakyLog:
    """Remembers the values it took, partition by partition; away while told so."""

    takes_messages = True

    def __init__(self) -> None:
        self.is_away = False
        self.refuses: Rejected | None = None
        self.took: dict[int, list[bytes]] = {}
        self._lock = threading.Lock()

    def append_pages(self, topic: Topic, pages: Sequence[PageIn]) -> None:
        assert topic is DEVICE
        with self._lock:
            if self.is_away:
                raise Unavailable("Kafka", "away")
            if self.refuses is not None:
                raise self.refuses
            for page in pages:
                self.took.setdefault(page.partition, []).extend(value for _, value in page.messages)


def page(*values: str, partition: int = 0) -> PageIn:
    return PageIn(partition, len(values), messages=[(b"dev-1", value.encode()) for value in values])


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def log() -> FlakyLog:
    return FlakyLog()


@pytest.fixture
def spool(log: FlakyLog, tmp_path: Path) -> Iterator[Spool]:
    made = Spool(log, tmp_path, bytes_max=MEBIBYTE)
    made.start()
    yield made
    made.close()


def test_nothing_waits_while_the_log_is_there(spool: Spool, log: FlakyLog) -> None:
    spool.append_pages(DEVICE, [page("a"), page("b", partition=3)])

    assert log.took == {0: [b"a"], 3: [b"b"]}
    assert spool.waiting.events == 0


def test_what_came_while_it_was_away_arrives_in_order_before_what_comes_later(spool: Spool, log: FlakyLog) -> None:
    spool.append_pages(DEVICE, [page("1")])
    log.is_away = True
    for n in range(2, 600):
        spool.append_pages(DEVICE, [page(str(n)), page(f"other {n}", partition=1)])
    assert spool.waiting.events == 2 * 598
    assert spool.failure is not None

    log.is_away = False
    for n in range(600, 700):
        spool.append_pages(DEVICE, [page(str(n))])
    until(lambda: not spool.waiting.events)

    assert log.took[0] == [str(n).encode() for n in range(1, 700)]
    assert log.took[1] == [f"other {n}".encode() for n in range(2, 600)]
    assert spool.failure is None
    assert spool.waiting.size_bytes == 0


def test_it_is_emptied_although_something_always_comes_behind(spool: Spool, log: FlakyLog) -> None:
    log.is_away = True
    spool.append_pages(DEVICE, [page("0")])
    log.is_away = False
    is_over = threading.Event()
    said = [0]

    def keep_on_saying() -> None:
        while not is_over.is_set():
            said[0] += 1
            spool.append_pages(DEVICE, [page(str(said[0]))])

    talking = threading.Thread(target=keep_on_saying)
    talking.start()
    until(lambda: spool.failure is None)
    is_over.set()
    talking.join()
    until(lambda: not spool.waiting.events)

    assert log.took[0] == [str(n).encode() for n in range(said[0] + 1)]


def test_a_full_spool_refuses_and_takes_again_when_it_is_empty(log: FlakyLog, tmp_path: Path) -> None:
    spool = Spool(log, tmp_path, bytes_max=4_000)
    spool.start()
    log.is_away = True

    def fill() -> None:
        for n in range(1_000):
            spool.append_pages(DEVICE, [page(f"{n:0100}")])

    with pytest.raises(Unavailable, match="full") as refused:
        fill()
    kept = spool.waiting.events

    log.is_away = False
    until(lambda: not spool.waiting.events)
    spool.append_pages(DEVICE, [page("after")])
    spool.close()

    assert "spool_mb" in refused.value.remedy
    assert log.took[0] == [f"{n:0100}".encode() for n in range(kept)] + [b"after"]


def test_what_waits_outlives_the_process(log: FlakyLog, tmp_path: Path) -> None:
    log.is_away = True
    first = Spool(log, tmp_path, bytes_max=MEBIBYTE)
    first.start()
    first.append_pages(DEVICE, [page("before the crash")])
    first.close()

    log.is_away = False
    second = Spool(log, tmp_path, bytes_max=MEBIBYTE)
    second.start()
    until(lambda: not second.waiting.events)
    second.close()

    assert log.took[0] == [b"before the crash"]


def test_what_the_log_will_never_take_is_told_and_nothing_is_dropped(log: FlakyLog, tmp_path: Path) -> None:
    """Fewer partitions than before, say: somebody has to look, and what waits must still be there."""
    log.is_away = True
    spool = Spool(log, tmp_path, bytes_max=MEBIBYTE)
    spool.start()
    spool.append_pages(DEVICE, [page("a")])
    log.refuses = Rejected("partition", "7 of 4")
    log.is_away = False

    until(lambda: spool.failure is not None and "7 of 4" in spool.failure.reason)
    assert spool.waiting.events == 1
    log.refuses = None
    until(lambda: not spool.waiting.events)
    spool.close()

    assert log.took[0] == [b"a"]
    assert spool.failure is None


def test_a_damaged_file_is_named_with_what_to_do(log: FlakyLog, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)

    with pytest.raises(Unavailable, match="damaged") as refused:
        Spool(log, tmp_path, bytes_max=MEBIBYTE).start()

    assert FILE in refused.value.remedy


def test_a_file_that_cannot_be_written_refuses_and_says_so(spool: Spool, log: FlakyLog, tmp_path: Path) -> None:
    log.is_away = True
    spool.append_pages(DEVICE, [page("a")])
    # Somebody else holds the file for longer than anybody waits.
    holder = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"):
        spool.append_pages(DEVICE, [page("b")])

    holder.execute("ROLLBACK")
    holder.close()
    spool.append_pages(DEVICE, [page("c")])
    log.is_away = False
    until(lambda: not spool.waiting.events)
    assert log.took[0] == [b"a", b"c"]


def test_a_folder_is_one_gateways(spool: Spool, log: FlakyLog, tmp_path: Path) -> None:
    other = Spool(log, tmp_path, bytes_max=MEBIBYTE)

    with pytest.raises(Unavailable, match="another gateway") as refused:
        other.start()
    other.close()

    assert "--spool" in refused.value.remedy
    spool.close()
    heir = Spool(log, tmp_path, bytes_max=MEBIBYTE)
    heir.start()
    heir.close()


def test_a_folder_of_its_own_is_made_where_it_is_missing(log: FlakyLog, tmp_path: Path) -> None:
    spool = Spool(log, tmp_path / "gateway" / "2", bytes_max=MEBIBYTE)
    spool.start()
    spool.close()

    assert (tmp_path / "gateway" / "2" / FILE).exists()
