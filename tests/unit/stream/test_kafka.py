"""Parts of the Kafka log that need no broker. The rest: tests/property/test_stream_parity.py."""

import pytest
from confluent_kafka import KafkaError

from shoal.errors import Rejected, Unavailable
from shoal.events.topics import DEVICE
from shoal.stream import kafka
from shoal.stream.kafka import KafkaConfig, KafkaLog, _Delivery
from shoal.stream.log import Entry


def test_an_append_is_done_when_its_last_record_is() -> None:
    delivery = _Delivery(2)

    delivery.report(None, None)
    assert not delivery.done.done()
    delivery.report(None, None)

    assert delivery.done.result(0) is None


def test_one_record_that_failed_fails_the_append_once_all_are_settled() -> None:
    delivery = _Delivery(2)

    delivery.report(KafkaError(KafkaError._MSG_TIMED_OUT), None)
    assert not delivery.done.done()
    delivery.report(None, None)

    with pytest.raises(Unavailable, match="Kafka"):
        delivery.done.result(0)


def test_a_caller_that_went_away_does_no_harm() -> None:
    delivery = _Delivery(1)
    delivery.done.cancel()

    delivery.report(None, None)


def test_options_reach_the_library_and_ours_win() -> None:
    config = KafkaConfig("a:9092", 3, options={"security.protocol": "SSL", "acks": "0"})

    assert config.client(acks="all") == {
        "bootstrap.servers": "a:9092",
        "log_level": 0,
        "security.protocol": "SSL",
        "acks": "all",
    }


async def test_brokers_that_are_away_are_told_with_their_address_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_S_MAX", 0.5)
    log = KafkaLog(KafkaConfig("127.0.0.1:1", 3))

    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1: .*\. Check that the brokers run"):
        await log.start()

    # The library prints nothing of its own: the command line says it once.
    assert capfd.readouterr() == ("", "")
    await log.close()


async def test_a_log_that_was_not_started_takes_nothing() -> None:
    log = KafkaLog(KafkaConfig("127.0.0.1:1", 3))

    with pytest.raises(Unavailable, match="not open"):
        await log.append(DEVICE, [Entry("a", b"1")])
    await log.append(DEVICE, [])

    assert log.partitions(DEVICE) == 3
    await log.close()


async def test_a_misspelled_option_is_told_by_its_name() -> None:
    log = KafkaLog(KafkaConfig("127.0.0.1:1", 3, options={"security.protocoll": "SSL"}))

    with pytest.raises(Rejected, match=r"kafka_options: .*security\.protocoll"):
        await log.start()

    await log.close()
