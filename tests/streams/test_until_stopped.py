"""Background tasks end with their block, and a block with its first failed task."""

import asyncio

import pytest

from streams.until_stopped import running


async def test_tasks_end_with_the_block():
    ended = asyncio.Event()

    async def task():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(task()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_a_failing_task_ends_the_block_with_its_own_error():
    async def fails():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with running(fails()):
            await asyncio.Event().wait()


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again():
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        async with running(stubborn()):
            await asyncio.sleep(0)


async def test_a_task_may_end_by_itself():
    async def short():
        return None

    async with running(short()):
        await asyncio.sleep(0.01)
