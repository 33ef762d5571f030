"""Where the time of a click goes: each step of a worker's own processor, on its own states and views, one by one."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.drawn_shop import click_value
from recsys.events import Click
from recsys.history import UserState, encode_state
from recsys.rank import Ranked
from recsys.refresh import fold_click, make_list, rank_for_each
from streams.agents.partition import ClickPartition
from streams.agents.recommend import ClickProcessor, parse_record
from streams.clock import wall_clock_ms
from streams.log.base import Record
from streams.processes import Outside
from streams.wire.lists import encode_list
from streams.wire.times import rfc3339

BATCH = 256
ROUNDS = 16
Touched = Sequence[tuple[ClickPartition, str, UserState]]


@dataclass(frozen=True)
class Steps:
    """CPU microseconds of each step, for one event that touches one user, and what a user is like."""

    decode: float
    fold: float
    rank: float
    encode: float
    append: float
    redis: float
    list_bytes: float
    state_bytes: float
    history: float

    @property
    def core(self) -> float:
        """T: what the recommender itself takes for a user; no message is read or written in it."""
        return self.fold + self.rank


class StepClock:
    """CPU time of this thread, by the name of what it went into."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}
        self._since = time.thread_time()

    def lap(self, name: str) -> None:
        now = time.thread_time()
        if name:
            self.spent_s[name] = self.spent_s.get(name, 0.0) + now - self._since
        self._since = time.thread_time()


async def measure_steps(processor: ClickProcessor, parts: Outside) -> Steps:
    """Measure; what it appends and writes is of no more use to anyone."""
    policy, views = processor._policy, processor._views()
    users = [(owned, user, state) for owned in processor.partitions.values() for user, state in owned.states.items()]
    items = [state.history[-1].item_id for _, _, state in users]
    clock, list_bytes, state_bytes, history, n = StepClock(), 0, 0, 0, 0
    for number in range(ROUNDS):
        start = number * BATCH % max(1, len(users) - BATCH)
        touched = users[start : start + BATCH]
        batch = _batch(touched, items[number:] + items[:number])
        clock.lap("")
        clicks = [parse_record(record) for record in batch]
        clock.lap("decode")
        _fold(touched, clicks, batch, processor)
        clock.lap("fold")
        ranked = rank_for_each([state for _, _, state in touched], views, policy, n=policy.top_k)
        clock.lap("rank")
        encoded = _encode(touched, ranked, processor)
        clock.lap("encode")
        # To the processor these are redeliveries now: it publishes everything about them again.
        refreshes = processor.fold(batch)
        clock.lap("")
        await parts.log.append_many(refreshes.records)
        clock.lap("append")
        await parts.store.put_lists(refreshes.writes)
        clock.lap("redis")
        n += len(touched)
        list_bytes += sum(len(made) for made, _ in encoded)
        state_bytes += sum(len(state) for _, state in encoded)
        history += sum(len(state.history) for _, _, state in touched)
    return Steps(
        **{name: 1e6 * seconds / n for name, seconds in clock.spent_s.items()},
        list_bytes=list_bytes / n,
        state_bytes=state_bytes / n,
        history=history / n,
    )


def _batch(touched: Touched, items: Sequence[str]) -> list[Record]:
    """One click more of each user."""
    batch = []
    for (owned, user, state), item_id in zip(touched, items, strict=False):
        sent_ns = (state.watermark_ms + 1) * 1_000_000
        offset = state.offset + 1
        value = click_value(f"again-{offset}", user, item_id, sent_ns)
        batch.append(Record("clicks", owned.partition, offset, sent_ns // 1_000_000, user.encode(), value, ()))
    return batch


def _fold(touched: Touched, clicks: Sequence[Click], batch: Sequence[Record], processor: ClickProcessor) -> None:
    for (owned, _, state), click, record in zip(touched, clicks, batch, strict=True):
        fold_click(state, owned.trends, click, offset=record.offset, epoch=owned.epoch, policy=processor._policy)


def _encode(touched: Touched, ranked: Sequence[Ranked], processor: ClickProcessor) -> list[tuple[bytes, bytes]]:
    views, at = processor._views(), rfc3339(wall_clock_ms())
    return [
        (
            encode_list(make_list(user, state, items, views, partition=owned.partition, generated_at=at)),
            encode_state(state),
        )
        for (owned, user, state), items in zip(touched, ranked, strict=True)
    ]
