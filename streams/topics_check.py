"""Topics as they should be: created when missing, refused when wrong."""

from dataclasses import dataclass

from recsys.errors import ConfigError
from streams.log.base import Log, TopicSpec
from streams.settings import Settings
from streams.topics import all_topics


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
        If a topic has the wrong number of partitions or the wrong cleanup; nothing is created then.
    UnavailableError
        If the broker does not answer.
    """
    wanted = all_topics(settings)
    found = await log.describe(spec.name for spec in wanted)
    wrong = [problem for spec in wanted if spec.name in found for problem in _problems(spec, found[spec.name])]
    if wrong:
        raise ConfigError(" ".join(wrong))
    missing = [spec for spec in wanted if spec.name not in found]
    if missing:
        await log.create(missing)
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
