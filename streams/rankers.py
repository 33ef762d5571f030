"""The rankers that `models` keeps: which there are, which is in use, and how another is put in use by hand."""

from dataclasses import dataclass, field

import msgspec

from recsys.errors import ConfigError
from recsys.ranker import VERSION
from streams import topics
from streams.log.base import Log, NewRecord
from streams.log.ranges import chunks
from streams.settings import Settings
from streams.wire.ranker import IN_USE_KEY, RankerRecord, decode_ranker, encode_ranker, is_ranker


@dataclass
class Rankers:
    """Versions by age, the oldest first; `in_use` is None where the weights are those that every shop starts with."""

    kept: list[RankerRecord] = field(default_factory=list)
    in_use: RankerRecord | None = None

    def named(self, version: str) -> RankerRecord:
        """One of those that are kept; ConfigError where there is none of that name."""
        for record in self.kept:
            if record.version == version:
                return record
        names = ", ".join(record.version for record in self.kept) or "none"
        raise ConfigError(f"There is no ranker {version}; kept are {names}, and {VERSION} is always there.")

    @property
    def before(self) -> RankerRecord | None:
        """What a roll-back puts in use: the newest version that is older than the one in use, if one is kept."""
        if self.in_use is None:
            raise ConfigError(f"{VERSION} is in use, which every shop starts with: there is nothing before it.")
        older = [record for record in self.kept if record.generation < self.in_use.generation]
        return older[-1] if older else None


async def read_rankers(log: Log, settings: Settings) -> Rankers:
    """All that stand in `models` now."""
    topic = settings.topic_prefix + topics.MODELS
    newest: dict[bytes, bytes | None] = {}
    for partition, end in (await log.end_offsets(topic)).items():
        async for records in chunks(log, topic, partition, 0, end):
            newest |= {record.key: record.value for record in records if record.key and is_ranker(record.key)}
    in_use = newest.pop(IN_USE_KEY, None)
    kept = {record.version: record for record in map(decode_ranker, filter(None, newest.values()))}
    return Rankers(
        sorted(kept.values(), key=lambda record: record.generation), None if in_use is None else decode_ranker(in_use)
    )


async def put_in_use(log: Log, settings: Settings, record: RankerRecord | None) -> None:
    """Have every process rank by a version from now on; None: by the weights that every shop starts with.

    A version that is put in use by hand is pinned: no trainer replaces it.
    """
    value = None if record is None else encode_ranker(msgspec.structs.replace(record, is_pinned=True))
    await log.append(NewRecord(settings.topic_prefix + topics.MODELS, IN_USE_KEY, value, 0))


async def let_go(log: Log, settings: Settings, record: RankerRecord) -> None:
    """Leave a version in use until a trainer finds a better one."""
    value = encode_ranker(msgspec.structs.replace(record, is_pinned=False))
    await log.append(NewRecord(settings.topic_prefix + topics.MODELS, IN_USE_KEY, value, 0))
