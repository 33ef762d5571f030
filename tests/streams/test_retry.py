import asyncio

import pytest

from recsys.errors import StateError, UnavailableError
from streams.retry import all_done, named, until_available


class Broker:
    """Fails a few times before it answers."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.error, self.calls = failures, error or UnavailableError("No broker answers."), 0

    async def ask(self, question: int) -> int:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self.failures:
            raise self.error
        return question + 1


@pytest.mark.parametrize("failures", [0, 2])
async def test_a_step_is_repeated_until_it_is_done(failures: int) -> None:
    broker = Broker(failures)

    assert await until_available(lambda: broker.ask(1)) == 2
    assert broker.calls == failures + 1


async def test_other_errors_are_not_waited_out() -> None:
    broker = Broker(1, StateError("We contradict ourselves."))

    with pytest.raises(StateError):
        await until_available(lambda: broker.ask(1))
    assert broker.calls == 1


async def test_all_steps_are_done_before_the_first_error_is_raised() -> None:
    failing, slow = Broker(1), Broker(0)

    with pytest.raises(UnavailableError):
        await all_done(failing.ask(1), slow.ask(1))
    assert slow.calls == 1


async def test_what_is_waited_for_is_named_when_it_takes_long(caplog: pytest.LogCaptureFixture) -> None:
    answer = asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(named("the broker", answer, after_s=0.01))
    async with asyncio.timeout(10):
        while "Waiting for the broker." not in caplog.messages:
            await asyncio.sleep(0.01)
    answer.set_result(7)

    assert await waiting == 7


async def test_nothing_is_said_of_what_is_done_at_once(caplog: pytest.LogCaptureFixture) -> None:
    answered = asyncio.get_running_loop().create_future()
    answered.set_result(7)

    assert await named("the broker", answered, after_s=0.0) == 7
    await asyncio.sleep(0)  # a timer that still stood would fire now
    await asyncio.sleep(0)

    assert caplog.messages == []
