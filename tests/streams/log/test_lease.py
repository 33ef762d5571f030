"""The lease against a model of the group coordinator: whoever holds it owns its partitions, however slow all is."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import NoError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.log.lease import REBALANCE_SESSIONS, Lease

SESSION_S = 10.0
TICK_S = 0.25
JOIN = JoinGroupRequest("g", 10_000, 20_000, "m", None, "consumer", [])
SYNC = SyncGroupRequest("g", 1, "m", None, [])
BEAT = HeartbeatRequest("g", 1, "m")
LEAVE = LeaveGroupRequest("g", "m")


class Group:
    """What the coordinator knows of one member, and the member's side of it, in a time of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.is_owner = self.is_member = False
        self.session_ends_s = 0.0
        self.rebalance_ends_s: float | None = None
        self.lease = Lease(SESSION_S, lambda: self.now_s)
        self.delay_s = lambda: 0.0
        self.generation_resets = 0
        self.lease.watch(self)

    # --- what aiokafka's coordinator has

    async def _send_req(self, request: Any) -> Any:
        self.advance(self.delay_s())
        code = self.answer(request)
        self.advance(self.delay_s())
        return SimpleNamespace(error_code=code)

    def reset_generation(self) -> None:
        self.generation_resets += 1

    # --- the broker's side

    def others_join(self) -> None:
        if self.rebalance_ends_s is None:
            self.rebalance_ends_s = self.now_s + REBALANCE_SESSIONS * SESSION_S

    def answer(self, request: Any) -> int:
        if isinstance(request, JoinGroupRequest):
            self.is_owner, self.is_member, self.rebalance_ends_s = False, True, None
            self.session_ends_s = self.now_s + SESSION_S
            return int(NoError.errno)
        if isinstance(request, LeaveGroupRequest):
            self.is_owner = self.is_member = False
        if not self.is_member:
            return int(UnknownMemberIdError.errno)
        self.session_ends_s = self.now_s + SESSION_S
        if self.rebalance_ends_s is not None:
            return int(RebalanceInProgressError.errno)
        self.is_owner = True
        return int(NoError.errno)

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever is silent for a session, or does not join anew in time, owns nothing any more."""
        end = self.now_s + seconds
        while True:
            if self.now_s >= self.session_ends_s or self.now_s >= (self.rebalance_ends_s or float("inf")):
                self.is_owner = self.is_member = False
                self.rebalance_ends_s = None
            assert self.is_owner or not self.lease.is_held, f"the lease is held at {self.now_s} s by who owns nothing"
            if self.now_s >= end:
                return
            self.now_s = min(end, self.now_s + TICK_S)

    # --- the member's side

    async def join(self) -> None:
        await self._send_req(JOIN)
        if (await self._send_req(SYNC)).error_code == UnknownMemberIdError.errno:
            self.reset_generation()

    async def beat(self) -> None:
        if (await self._send_req(BEAT)).error_code == UnknownMemberIdError.errno:
            self.reset_generation()


async def joined() -> Group:
    group = Group()
    await group.join()
    return group


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_whoever_holds_it_owns_its_partitions(seed: int) -> None:
    """Slow networks, pauses, rebalances that begin at any time, joins that come late or never."""
    rng = random.Random(seed)

    async def play() -> None:
        group = await joined()
        group.delay_s = lambda: rng.choice((0.0, 0.0, 0.25, 1.0, rng.uniform(0.0, 12.0)))
        for _ in range(60):
            group.advance(rng.choice((1.0, 1.0, 1.0, 0.5, rng.uniform(0.0, 15.0))))
            if rng.random() < 0.1:
                group.others_join()
            step = rng.choices((group.beat, group.join, lambda: group._send_req(LEAVE)), (20, 2, 1))[0]
            await step()

    asyncio.run(play())


async def test_a_join_that_meets_a_rebalance_at_once_holds_it_for_what_was_begun() -> None:
    """The member that joins next does so before the first heartbeat; what is in work by then must still be written."""
    group = await joined()
    group.others_join()
    for _ in range(10):
        group.advance(1.0)
        await group.beat()
        assert group.lease.is_held


async def test_a_batch_that_takes_longer_than_a_session_is_written_during_a_rebalance() -> None:
    """Who joins anew waits for the batch, and the batch for the lease: without it both would wait in vain."""
    group = await joined()
    await group.beat()
    group.others_join()
    term = group.lease.term
    for _ in range(12):
        group.advance(1.0)
        await group.beat()
    assert group.lease.is_held
    assert group.lease.term == term


async def test_it_does_not_outlive_the_rebalance() -> None:
    """Heartbeats are answered until the last moment, and then the partitions are another's at once."""
    group = await joined()
    group.others_join()
    while group.is_member:
        group.advance(1.0)
        await group.beat()
    assert group.now_s >= REBALANCE_SESSIONS * SESSION_S
    assert not group.lease.is_held
    assert group.generation_resets == 1


async def test_a_heartbeat_on_its_way_when_the_member_joins_anew_renews_nothing() -> None:
    answered = asyncio.Event()

    async def answer(request: Any) -> Any:
        await answered.wait()
        return SimpleNamespace(error_code=NoError.errno)

    coordinator = SimpleNamespace(_send_req=answer, reset_generation=lambda: None)
    lease = Lease(SESSION_S, lambda: 0.0)
    lease.watch(coordinator)
    beating = asyncio.create_task(coordinator._send_req(BEAT))
    joining = asyncio.create_task(coordinator._send_req(JOIN))
    await asyncio.sleep(0)
    answered.set()
    await asyncio.gather(beating, joining)
    assert not lease.is_held
