"""A lease on writing: a member of a consumer group writes only while it can be sure that nobody has taken over.

Who was paused, or cut off, for longer than its session does not know that its partitions have another owner; whatever
it still holds would be written behind the successor's records, and compaction keeps the last record of a key. So what
the coordinator answers is a lease, counted from the moment at which it was asked, and the producer looks at it just
before it sends, each time that it sends. The coordinator gives a member's partitions to others in three cases only:

1. the member asks to join anew, or leaves: the lease ends before the request goes out;
2. no heartbeat has come for a session: each answer is a lease for most of a session;
3. others join, and the member does not join anew before the rebalance times out. Meanwhile its heartbeats are answered,
   and what it has begun must be written before it joins: so they renew the lease, but never beyond most of that time,
   counted from when the coordinator was last asked and the group was at rest.

This rests on private names of aiokafka 0.14.0: `tests/contracts/test_fence.py` fails when one changes.
"""

import time
from collections.abc import Callable
from typing import Any

from aiokafka.errors import NoError, RebalanceInProgressError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

REBALANCE_SESSIONS = 2
"""For so many sessions the coordinator waits for members to join anew: `streams.apps` asks for it."""
HELD = 0.7
"""Of the session and of the time for a rebalance; the rest is for a record on its way to the broker."""


class Lease:
    """Until when this member may write; `term` counts the ownerships, and what was begun in one never ends in another.

    Parameters
    ----------
    session_s : after this long without a heartbeat the coordinator gives the partitions to others
    now_s : a clock that goes on while the process is stopped
    """

    def __init__(self, session_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self.term = 0
        self._held_s, self._held_rebalancing_s = HELD * session_s, HELD * REBALANCE_SESSIONS * session_s
        self._now_s = now_s
        self._at_rest_s = self._until_s = float("-inf")

    @property
    def is_held(self) -> bool:
        return self._now_s() < self._until_s

    def confirm(self, asked_at_s: float, *, is_rebalancing: bool = False) -> None:
        """Take note that the coordinator, asked at this time, counted us as a member of its present generation."""
        if not is_rebalancing:
            self._at_rest_s = asked_at_s
        self._until_s = min(asked_at_s + self._held_s, self._at_rest_s + self._held_rebalancing_s)

    def end(self) -> None:
        """Give up what is owned: partitions may have other owners from now on."""
        self._at_rest_s = self._until_s = float("-inf")
        self.term += 1

    def watch(self, coordinator: Any) -> None:
        """Follow the membership of an aiokafka consumer by what its group coordinator asks and hears."""
        send, reset = coordinator._send_req, coordinator.reset_generation

        async def send_req(request: Any) -> Any:
            if isinstance(request, JoinGroupRequest | LeaveGroupRequest):
                self.end()
            asked_at_s, term = self._now_s(), self.term
            response = await send(request)
            # An answer that comes after the end of its term is about a generation that we have left.
            if isinstance(request, HeartbeatRequest | SyncGroupRequest) and term == self.term:
                if response.error_code == NoError.errno:
                    self.confirm(asked_at_s)
                elif isinstance(request, HeartbeatRequest) and response.error_code == RebalanceInProgressError.errno:
                    self.confirm(asked_at_s, is_rebalancing=True)
            return response

        def reset_generation() -> None:
            self.end()
            reset()

        coordinator._send_req = send_req
        coordinator.reset_generation = reset_generation
