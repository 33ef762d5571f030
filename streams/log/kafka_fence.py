"""A producer that writes only while its process holds the lease (`lease`) of what it writes for."""

import asyncio
from typing import Any

from aiokafka.protocol.produce import ProduceRequest

from recsys.errors import OwnershipLostError
from streams.log.lease import Lease

LOOK_S = 0.02
"""How often a record that waits for the lease looks; the broker is away then, or a rebalance is on."""


class Fence:
    """Lets an aiokafka producer send only under the lease's present term; a record of an earlier one ends the producer.

    An idempotent producer cannot leave out a record in the middle, so a fenced one is of no more use: whoever appends
    hears of it (a StateError), and the process ends and starts again from the log.
    """

    def __init__(self, lease: Lease, producer: Any) -> None:
        self._lease, self._producer = lease, producer
        self._term = lease.term
        self._send = producer.client.send
        producer.client.send = self._send_if_held

    @property
    def term(self) -> int:
        """Ask for it when records come, before anything is awaited: they belong to this term."""
        return self._lease.term

    def begin(self, term: int) -> None:
        """Call just before records of a term are handed over.

        Raises
        ------
        OwnershipLostError
            If that term is over, or records of an earlier one are on their way.
        """
        if term != self._lease.term:
            raise self._lost()
        if self._term != term:
            if self._producer._message_accumulator._batches or self._producer._sender._in_flight:
                raise self._lost()
            self._term = term

    async def _send_if_held(self, node_id: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            # Connecting takes time: first connect, then look, then send.
            await self._producer.client.ready(node_id, **options)
            # Polled, as heartbeats are confirmed in a thread of their own.
            while self._term == self._lease.term and not self._lease.is_held:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
            if self._term != self._lease.term:
                raise self._lost()
        return await self._send(node_id, request, **options)

    def _lost(self) -> OwnershipLostError:
        return OwnershipLostError("Records were still to be written when others took the partitions over.")
