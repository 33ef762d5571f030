"""There is one active trainer at most, and soon another when it is gone."""

import asyncio
from pathlib import Path

import pytest

from recsys.errors import ConfigError, UnavailableError
from streams.leadership import Leadership
from streams.log import kafka_seat
from streams.log.base import TopicSpec
from streams.log.kafka import KafkaLog
from streams.log.open import open_log
from streams.settings import Settings


async def test_on_the_embedded_log_the_one_process_leads(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with Leadership(settings, open_log(settings)) as leadership:
        await asyncio.wait_for(leadership.wait_until_leader(), 1)
    assert not leadership.is_leader.is_set()


async def test_a_second_trainer_waits_until_the_first_is_gone(kafka: str, topic_prefix: str) -> None:
    settings = Settings(broker=f"kafka://{kafka}", topic_prefix=topic_prefix)
    log = KafkaLog(settings)
    await log.start()
    with pytest.raises(ConfigError, match="trainer"):
        await Leadership(settings, log).__aenter__()
    await log.create([TopicSpec(f"{topic_prefix}trainer", 1)])
    async with (
        Leadership(settings, log, session_timeout_s=2) as one,
        Leadership(settings, log, session_timeout_s=2) as other,
    ):
        # Which of the two it is, Kafka decides, and may decide anew when the second one joins.
        async with asyncio.timeout(30):
            while one.is_leader.is_set() == other.is_leader.is_set():
                await asyncio.sleep(0.05)
        leader, standby = (one, other) if one.is_leader.is_set() else (other, one)
        await leader.__aexit__()
        await asyncio.wait_for(standby.wait_until_leader(), 20)
        assert not leader.is_leader.is_set()
    await log.stop()


async def test_a_broker_that_goes_while_the_seat_is_asked_for_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    class Seat:
        """Finds a broker at the second try; a client that has failed once cannot be started again."""

        def __init__(self, *_: object) -> None:
            self.is_used = False

        async def join(self) -> None:
            assert not self.is_used
            self.is_used = True
            tries.append("join")
            if len(tries) == 1:
                raise UnavailableError("gone")

        async def leave(self) -> None:
            tries.append("leave")

    class Topics:
        """A log that knows its topics."""

        async def partitions(self, topic: str) -> int:
            return 1

    monkeypatch.setattr(kafka_seat, "KafkaSeat", Seat)
    async with Leadership(Settings(broker="kafka://127.0.0.1:9"), Topics()):  # type: ignore[arg-type]
        assert tries == ["join", "join"]
    assert tries[-1] == "leave"
