"""What cannot be reached is known at once or after a short silence, and so is its return."""

import asyncio
import time
from collections.abc import Callable

import pytest

from recsys.errors import UnavailableError
from streams import reach
from streams.reach import Reach
from streams.settings import Settings
from streams.until_stopped import running


class Outside:
    """A broker and a Redis in one: each call answers, fails or is silent, as a test wants it."""

    def __init__(self) -> None:
        self.fails = self.is_silent = False

    async def ping(self) -> None:
        if self.fails:
            raise UnavailableError("down")
        while self.is_silent:
            await asyncio.sleep(0.001)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        await self.ping()
        return {0: 0}


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("who", ["broker", "redis"])
@pytest.mark.parametrize("how", ["fails", "is_silent"])
async def test_who_does_not_answer_is_not_there_until_he_does(
    who: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "ASK_EVERY_S", 0.005)
    monkeypatch.setattr(reach, "SILENT_AFTER_S", 0.02)
    broker, redis = Outside(), Outside()
    reached = Reach(Settings(), broker, redis.ping)  # type: ignore[arg-type]
    assert reached.is_there
    async with running(reached.run()):
        for _ in range(2):
            setattr(broker if who == "broker" else redis, how, True)
            await until(lambda: not reached.is_there)
            setattr(broker if who == "broker" else redis, how, False)
            await until(lambda: reached.is_there)
