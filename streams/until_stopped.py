"""How a long-running process runs: its background tasks, its signals, and an end within the time that is promised."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import threadpoolctl

from recsys.errors import StateError
from streams.supervise import CRASHED, LOST_OWNERSHIP

GRACE_S = 10.0
"""What a process takes to end by itself; a start that is still waiting for its broker is cut off after this."""
STOP_WITHIN_S = 17.0
"""A stop that takes longer ends the process at once; 20 s are promised, and a supervisor ends it by force then."""
STRAY_THREADS_S = 1.0
"""How long the closing of the loop waits for threads whose work nobody waits for any more."""
CANCEL_AGAIN_S = 0.5
SWITCH_S = 0.000_5
logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running(*coroutines: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Keep background tasks running for as long as the block lasts; the first that fails ends the block with its error.

    Unlike asyncio.TaskGroup it asks a task to end more than once: redis-py and aiokafka swallow a cancellation that
    comes while they connect, and Python 3.11's `wait_for` one that comes as what it waits for is done.
    """
    block = asyncio.current_task()
    failures: list[BaseException] = []
    is_open = True

    def on_done(task: asyncio.Task[Any]) -> None:
        if is_open and not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)
            if len(failures) == 1 and block is not None:
                block.cancel()

    tasks = {asyncio.create_task(coroutine) for coroutine in coroutines}
    for task in tasks:
        task.add_done_callback(on_done)
    try:
        yield
    except asyncio.CancelledError:
        if not failures or block is None:
            raise
        block.uncancel()
        raise failures[0] from None
    finally:
        is_open = False
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)


async def every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Do a step again and again, with a pause between, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        await step()


def run_until_stopped(main: Callable[[asyncio.Event], Any]) -> int:
    """Run an asynchronous main until SIGTERM or SIGINT; a stop that hangs ends the process all the same.

    One BLAS thread a process: sums then run in one order, so that folds are equal to the last bit, and processes that
    share a machine do not fight for its cores.
    """
    threadpoolctl.threadpool_limits(1)
    use_quick_loops()
    return asyncio.run(_until_stopped(main))


def use_quick_loops() -> None:
    """Have uvloop run every event loop of this process, those of Faust's threads too: a tenth less CPU a click.

    A loop that gives the interpreter's lock away, as each search does, has it back from a thread that works beside it
    after `SWITCH_S`. Python's own 5 ms are half of what a click may take; what that gains is within the noise so far.
    """
    sys.setswitchinterval(SWITCH_S)
    if sys.platform != "win32":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


async def _until_stopped(main: Callable[[asyncio.Event], Any]) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        if not stop.is_set():
            loop.call_later(STOP_WITHIN_S, _leave)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    running_main = asyncio.ensure_future(main(stop))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running_main, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running_main.done():
            # Whoever still waits for a broker does not look at `stop`.
            await asyncio.wait({running_main}, timeout=GRACE_S)
            running_main.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running_main
        # What had to end in order has ended. A thread that is loading a network hears nothing, and takes long.
        loop.call_later(STRAY_THREADS_S, os._exit, 0)
    except BaseExceptionGroup as group:
        raise first_of(group) from group
    return 0


@contextlib.contextmanager
def ends_in_time() -> Iterator[None]:
    """See that a process which has crashed in this block ends soon, whatever then hangs while it is closed."""
    try:
        yield
    except Exception as error:
        first = first_of(error) if isinstance(error, BaseExceptionGroup) else error
        code = LOST_OWNERSHIP if isinstance(first, StateError) else CRASHED
        asyncio.get_running_loop().call_later(GRACE_S, os._exit, code)
        raise


def _leave() -> None:
    """End now, and not as a crash: a batch that waits for Redis or the broker is safe in the log."""
    logger.warning("Not done within %g s of the request to stop; what was not acknowledged comes again.", STOP_WITHIN_S)
    os._exit(0)


def first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first plain error in a group of errors: one sentence is better than a tree."""
    first: BaseException = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
