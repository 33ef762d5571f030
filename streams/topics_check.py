"""Topics as they should be: created when missing, refused when wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from recsys.errors import ConfigError
from streams.log.base import Log, NewRecord, TopicSpec
from streams.log.ranges import chunks
from streams.settings import Settings
from streams.topics import ACTIVITIES, CLICKS, LAYOUT, PRODUCTS, all_topics

T = TypeVar("T")
KEPT_STATE_OF = (PRODUCTS, CLICKS, ACTIVITIES)
"""Topics whose keys' state stands in topics partitioned alike."""


@dataclass(frozen=True)
class TopicReport:
    """What `ensure_topics` found and did; names with the prefix."""

    present: tuple[str, ...]
    created: tuple[str, ...]


async def ensure_topics(log: Log, settings: Settings) -> TopicReport:
    """Create the topics that are missing, and check those that are there.

    Retention and the like may be changed by whoever runs Kafka; partitions and cleanup may not, because
    keys would move to other partitions, or state would be thrown away.

    Raises
    ------
    ConfigError
        If a topic has the wrong number of partitions or the wrong cleanup, or others than when its state was begun;
        nothing is created then.
    UnavailableError
        If the broker does not answer.
    """
    wanted = all_topics(settings)
    found = await log.describe(spec.name for spec in wanted)
    if wrong := _problems([(spec, found[spec.name]) for spec in wanted if spec.name in found]):
        raise ConfigError(" ".join(wrong))
    layout = settings.topic_prefix + LAYOUT
    begun = await _begun(log, layout) if layout in found else {}
    if moved := _moved([(spec, begun[spec.name]) for spec in wanted if spec.name in begun]):
        raise ConfigError(moved)
    missing = [spec for spec in wanted if spec.name not in found]
    if missing:
        await log.create(missing)
    names = {settings.topic_prefix + name for name in KEPT_STATE_OF} - begun.keys()
    counts = {spec.name: spec.partitions for spec in wanted if spec.name in names}
    if counts:
        await log.append_many(
            [NewRecord(layout, name.encode(), str(count).encode(), 0) for name, count in counts.items()]
        )
    return TopicReport(tuple(sorted(found)), tuple(sorted(spec.name for spec in missing)))


def _problems(topics: Sequence[tuple[TopicSpec, TopicSpec]]) -> list[str]:
    """A sentence for each thing that is wrong, with all topics where it is; `topics` as wanted and as found."""
    problems = []
    sizes = [(wanted.name, (found.partitions, wanted.partitions)) for wanted, found in topics]
    if parts := [
        f"{_have(names)} {had} partitions, expected {expected}" for (had, expected), names in _differing(sizes).items()
    ]:
        problems.append(
            f"{'; '.join(parts)}: set FRESHET_PARTITIONS to the number created with, or choose another "
            f"FRESHET_TOPIC_PREFIX."
        )
    cleanups = [(wanted.name, (_cleanup(found), _cleanup(wanted))) for wanted, found in topics]
    for (had, expected), names in _differing(cleanups).items():
        problems.append(
            f"{_have(names)} cleanup.policy {had}, expected {expected}: set it so with "
            f"`kafka-configs.sh --alter --topic {names[0]} --add-config cleanup.policy=[{expected}]`"
            f"{' for each' if len(names) > 1 else ''}, or choose another FRESHET_TOPIC_PREFIX."
        )
    return problems


def _differing(topics: Iterable[tuple[str, tuple[T, T]]]) -> dict[tuple[T, T], list[str]]:
    """The names of topics by what they have and should have, where these differ."""
    differing: dict[tuple[T, T], list[str]] = {}
    for name, (had, expected) in topics:
        if had != expected:
            differing.setdefault((had, expected), []).append(name)
    return differing


def _cleanup(spec: TopicSpec) -> str:
    return ",".join(sorted(spec.cleanup.split(",")))


def _have(names: Sequence[str]) -> str:
    return f"Topic {names[0]} has" if len(names) == 1 else f"Topics {', '.join(names)} have"


async def _begun(log: Log, layout: str) -> dict[str, int]:
    """How many partitions topics had when what we keep of them was begun, by their full names."""
    begun: dict[str, int] = {}
    end = (await log.end_offsets(layout))[0]
    async for records in chunks(log, layout, 0, 0, end):
        for record in records:
            name = (record.key or b"").decode(errors="replace")
            if record.value is not None and record.value.isdigit():
                begun.setdefault(name, int(record.value))
    return begun


def _moved(topics: Iterable[tuple[TopicSpec, int]]) -> str:
    """A sentence on topics that have other partitions than when what was kept of them was begun."""
    moved = _differing((spec.name, (spec.partitions, begun)) for spec, begun in topics)
    if not moved:
        return ""
    parts = [
        f"{_have(names)} {had} partitions, and what was kept was begun with {begun}"
        for (had, begun), names in moved.items()
    ]
    return (
        f"{'; '.join(parts)}: keys go to other partitions now, where their state is not. Make such a topic anew with "
        f"as many as before, or choose another FRESHET_TOPIC_PREFIX and send the messages again."
    )
