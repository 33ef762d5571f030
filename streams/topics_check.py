"""Topics as they should be: created when missing, refused when wrong."""

from dataclasses import dataclass

from recsys.errors import ConfigError
from streams.log.base import Log, NewRecord, TopicSpec
from streams.log.ranges import chunks
from streams.settings import Settings
from streams.topics import ACTIVITIES, CLICKS, LAYOUT, PRODUCTS, all_topics

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
    wrong = [problem for spec in wanted if spec.name in found for problem in _problems(spec, found[spec.name])]
    if wrong:
        raise ConfigError(" ".join(wrong))
    layout = settings.topic_prefix + LAYOUT
    begun = await _begun(log, layout) if layout in found else {}
    moved = [problem for spec in wanted if (problem := _moved(spec, begun.get(spec.name)))]
    if moved:
        raise ConfigError(" ".join(moved))
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


def _problems(wanted: TopicSpec, found: TopicSpec) -> list[str]:
    problems = []
    if found.partitions != wanted.partitions:
        problems.append(
            f"Topic {wanted.name} has {found.partitions} partitions, expected {wanted.partitions}: set "
            f"FRESHET_PARTITIONS to the number it was created with, or choose another FRESHET_TOPIC_PREFIX."
        )
    if set(found.cleanup.split(",")) != set(wanted.cleanup.split(",")):
        problems.append(
            f"Topic {wanted.name} has cleanup.policy {found.cleanup}, expected {wanted.cleanup}: set it so with "
            f"`kafka-configs.sh --alter --topic {wanted.name} --add-config cleanup.policy=[{wanted.cleanup}]`, "
            f"or choose another FRESHET_TOPIC_PREFIX."
        )
    return problems


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


def _moved(wanted: TopicSpec, begun: int | None) -> str:
    if begun is None or begun == wanted.partitions:
        return ""
    return (
        f"Topic {wanted.name} has {wanted.partitions} partitions, and what was kept of it was begun with {begun}: its "
        f"keys go to other partitions now, where their state is not. Make the topic anew with {begun}, or choose "
        f"another FRESHET_TOPIC_PREFIX and send its messages again."
    )
