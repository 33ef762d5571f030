"""The wall clock; only shells ask it, the core is told."""

import time


def wall_clock_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000
