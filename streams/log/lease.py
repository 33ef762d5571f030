"""A lease on writing: a member of a consumer group writes only while it can be sure that nobody has taken over.

Who was paused, or cut off, for longer than its session does not know that its partitions have another owner; whatever
it still holds would be written behind the successor's records, and compaction keeps the last record of a key. So each
heartbeat that the coordinator confirms is a lease until shortly before the session would end, counted from the moment
at which the heartbeat was sent, and the producer looks at it just before it sends, each time that it sends.

This rests on private names of aiokafka 0.14.0: `tests/contracts/test_faust_kafka.py` fails when one changes.
"""

import time
from collections.abc import Callable
from typing import Any

HELD = 0.7
"""Of the session; the rest is for a record on its way to the broker."""


class Lease:
    """Until when this member may write; `term` counts the ownerships, and what was begun in one never ends in another.

    Parameters
    ----------
    session_s : after this long without a heartbeat the coordinator gives the partitions to others
    now_s : a clock that goes on while the process is stopped
    """

    def __init__(self, session_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self.term = 0
        self._held_s = HELD * session_s
        self._now_s = now_s
        self._until_s = 0.0

    @property
    def is_held(self) -> bool:
        return self._now_s() < self._until_s

    def confirm(self, asked_at_s: float) -> None:
        """Take note of a heartbeat that was sent at this time, and confirmed."""
        self._until_s = asked_at_s + self._held_s

    def end(self) -> None:
        """Give up what is owned: partitions may have other owners from now on."""
        self._until_s = 0.0
        self.term += 1

    def watch(self, coordinator: Any) -> None:
        """Follow the membership of an aiokafka consumer by its group coordinator."""
        beat, rejoin, reset = coordinator._do_heartbeat, coordinator._do_rejoin_group, coordinator.reset_generation

        async def do_heartbeat() -> bool:
            asked_at_s = self._now_s()
            is_member: bool = await beat()
            # While the group waits for us to join anew, heartbeats are confirmed, and yet we may be left out.
            if is_member and not coordinator._rejoin_needed_fut.done():
                self.confirm(asked_at_s)
            return is_member

        async def do_rejoin_group(subscription: Any) -> bool:
            self.end()
            has_joined: bool = await rejoin(subscription)
            if has_joined:
                # Also when the group wants to be joined anew by now: it waits for us for longer than a lease lasts, and
                # what we have begun must be written before we let go.
                asked_at_s = self._now_s()
                if await beat():
                    self.confirm(asked_at_s)
            return has_joined

        def reset_generation() -> None:
            self.end()
            reset()

        coordinator._do_heartbeat = do_heartbeat
        coordinator._do_rejoin_group = do_rejoin_group
        coordinator.reset_generation = reset_generation
