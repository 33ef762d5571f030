"""Named places at which tests kill a process: `reached` does nothing, and nothing outside the tests replaces it.

No setting and no variable of the environment switches it on: `tests.chaos.killed_at` is another program, which puts its
own function here before it runs `freshet`. So it cannot happen in production, and costs one empty call a batch.
"""

BEFORE_CHANGE = "before-change"
AFTER_CHANGE = "after-change"
BEFORE_FLUSH = "before-flush"
AFTER_FLUSH = "after-flush"
BEFORE_COMMIT = "before-commit"
AFTER_COMMIT = "after-commit"
IN_RECOVERY = "in-recovery"
IN_REBALANCE = "in-rebalance"
IN_REDIS_WRITE = "in-redis-write"
INDEX_ADD = "index-add"
SNAPSHOT = "snapshot"
DEAD_LETTER = "dead-letter"
POINTS = (
    *(BEFORE_CHANGE, AFTER_CHANGE, BEFORE_FLUSH, AFTER_FLUSH, BEFORE_COMMIT, AFTER_COMMIT),
    *(IN_RECOVERY, IN_REBALANCE, IN_REDIS_WRITE, INDEX_ADD, SNAPSHOT, DEAD_LETTER),
)


def reached(point: str) -> None:
    """Say that the process is at one of `POINTS`."""
