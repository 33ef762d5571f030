"""`freshet`, which kills itself: `python -m tests.chaos.killed_at POINT COUNT worker --role recommend …`.

By SIGUSR1 it tells what each of its tasks waits for: a point that is never reached is often one that waits in vain.
"""

import asyncio
import faulthandler
import gc
import inspect
import os
import signal
import sys
from typing import Any

from streams import failpoints


def kill_at(point: str, count: int) -> None:
    """End this process by SIGKILL when it reaches a point for the count-th time."""
    assert point in failpoints.POINTS, point
    left = count

    def reached(here: str) -> None:
        nonlocal left
        if here == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = reached


def tell_what_tasks_wait_for(*_: Any) -> None:
    """Print where each thread is, and what each task of every loop in this process awaits, down to the innermost."""
    faulthandler.dump_traceback(all_threads=True)
    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]
        if task.done():
            continue
        print(f"--- {task.get_name()}", file=sys.stderr)
        awaited, seen = task.get_coro(), set()
        while awaited is not None and id(awaited) not in seen:
            seen.add(id(awaited))
            kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(awaited, f"{kind}_frame")), "")
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                print(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}", file=sys.stderr)
            else:
                print(f"    {awaited!r:.100}", file=sys.stderr)
            inner = getattr(awaited, f"{kind}_await" if kind != "gi" else "gi_yieldfrom", None)
            # What wraps a coroutine does not say which.
            wrapped = (one for one in gc.get_referents(awaited) if inspect.isawaitable(one) or inspect.isasyncgen(one))
            awaited = inner if inner is not None else next(wrapped, None) if not kind else None
    sys.stderr.flush()


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]))
    signal.signal(signal.SIGUSR1, tell_what_tasks_wait_for)
    sys.argv = ["freshet", *sys.argv[3:]]
    from gateway.cli.main import main

    main()
