"""The records between two offsets of a partition, part by part."""

from collections.abc import AsyncIterator

from streams.log.base import Log, Record, TopicPartition

POLL_S = 0.5
AT_ONCE = 1_000
"""Records in memory together: 6 MB of lists."""


async def chunks(log: Log, topic: str, partition: int, start: int, end: int) -> AsyncIterator[list[Record]]:
    """What still stands from `start` up to before `end`, in order; from the oldest record where `start` is gone.

    Raises UnavailableError when the broker does not answer.
    """
    tp = TopicPartition(topic, partition)
    first = max(start, (await log.beginning_offsets(topic)).get(partition, 0))
    if first >= end:
        return
    reader = log.reader({tp: first})
    try:
        while reader.position(tp) < end:
            records = [record for record in await reader.poll(POLL_S, AT_ONCE) if record.offset < end]
            if records:
                yield records
    finally:
        await reader.close()
