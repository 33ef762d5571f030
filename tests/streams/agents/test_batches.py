"""One step behind: while one batch is written, the next is prepared."""

import asyncio
import contextlib

import pytest

from streams.agents.batches import OneBehind


class Steps:
    """Steps that end when told to, and who was told of a crash."""

    def __init__(self):
        self.began: list[str] = []
        self.ended: list[str] = []
        self.crashes: list[BaseException] = []
        self.may_end = asyncio.Event()

    async def step(self, name: str) -> None:
        self.began.append(name)
        await self.may_end.wait()
        self.ended.append(name)

    async def fail(self) -> None:
        raise RuntimeError("no disk")

    async def crash(self, error: BaseException) -> None:
        self.crashes.append(error)


@pytest.fixture
def steps() -> Steps:
    return Steps()


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_caller_goes_on_while_a_step_runs(steps: Steps):
    async with OneBehind(steps.crash) as behind:
        await behind.start(steps.step("first"))
        await settle()
        assert (steps.began, steps.ended) == (["first"], [])
        steps.may_end.set()


async def test_a_step_begins_when_the_one_before_has_ended(steps: Steps):
    async with OneBehind(steps.crash) as behind:
        await behind.start(steps.step("first"))
        second = asyncio.create_task(behind.start(steps.step("second")))
        await settle()
        assert steps.began == ["first"]
        steps.may_end.set()
        await second
    assert steps.ended == ["first", "second"], "leaving waits for the last"


async def test_a_failure_is_told_at_once_and_raised_to_whoever_comes_next(steps: Steps):
    behind = OneBehind(steps.crash)
    await behind.start(steps.fail())
    await settle()

    assert [str(error) for error in steps.crashes] == ["no disk"]
    with pytest.raises(RuntimeError, match="no disk"):
        await behind.start(steps.step("second"))
    assert steps.began == []


async def test_a_step_ends_with_a_caller_that_is_cancelled(steps: Steps):
    async def caller() -> None:
        async with OneBehind(steps.crash) as behind:
            await behind.start(steps.step("first"))
            await asyncio.Event().wait()

    task = asyncio.create_task(caller())
    await settle()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert steps.ended == []
