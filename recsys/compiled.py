"""Plain loops over arrays, compiled: where numpy would take forty calls a list, each dearer than its work."""

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
        made: Function = numba.njit(cache=True)(function)
    except RuntimeError:
        made = numba.njit()(function)
    return made
