"""What to do while the outside is down: hold on, back off, try the same again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_exponential

from recsys.errors import UnavailableError

T = TypeVar("T")
LONGEST_WAIT_S = 5.0
"""Between two tries: doubled, work goes on that much later after the broker or Redis is back (30 s are promised)."""
NAMED_AFTER_S = 3.0
"""A first try may take 20 s to fail; who watches the start should know sooner what it hangs on."""
logger = logging.getLogger(__name__)


async def until_available(step: Callable[[], Awaitable[T]], hurry: "asyncio.Future[None] | None" = None) -> T:
    """Do a step, again and again while it raises UnavailableError; the first repeat after 0.1 s, later ones after 5.

    Once `hurry` is done, the next repeat comes at once.
    """

    async def pause(seconds: float) -> None:
        if hurry is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait({hurry}, timeout=seconds)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(UnavailableError),
        wait=wait_exponential(multiplier=0.1, max=LONGEST_WAIT_S),
        before_sleep=before_sleep_log(logger, logging.WARNING),
        sleep=pause,
    )

    async def attempt() -> T:
        # tenacity awaits only what it can see is a coroutine function: what a lambda returns would be dropped.
        return await step()

    return await retrying(attempt)


async def named(what: str, step: Awaitable[T], after_s: float = NAMED_AFTER_S) -> T:
    """Await a step, and say in the log what is waited for when it takes long."""
    saying = asyncio.get_running_loop().call_later(after_s, logger.warning, "Waiting for %s.", what)
    try:
        return await step
    finally:
        saying.cancel()


async def all_done(*steps: Awaitable[object]) -> None:
    """Wait for all of several steps, also when one fails, then raise the first error."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
