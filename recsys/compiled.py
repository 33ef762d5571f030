"""Plain loops over arrays, compiled: where numpy would take forty calls a list, each dearer than its work."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Have numba compile a function of arrays at its first call, or take what an earlier process compiled.

    It holds the interpreter's lock, being done in microseconds: whoever gives the lock away waits to have it back. Sums
    run in the order that is written, so results are the same on every machine (no `fastmath`). Where no folder can be
    written for what was compiled (`NUMBA_CACHE_DIR`), each process compiles anew, in some seconds.
    """
    try:
        made: Any = numba.njit(cache=True)(function)
    except RuntimeError:
        made = numba.njit()(function)
    else:
        made._cache.save_overload = _if_there_is_room(made._cache.save_overload)
    result: Function = made
    return result


def _if_there_is_room(save: Callable[..., None]) -> Callable[..., None]:
    """numba has a call fail whose code cannot be kept: a disk that has become full would end a worker."""

    def save_or_not(*args: object) -> None:
        with contextlib.suppress(OSError):
            save(*args)

    return save_or_not
