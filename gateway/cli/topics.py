"""`freshet topics`: create and check."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.settings import Settings


def topics() -> None:
    """Create the topics that are missing and check the others: partitions, compaction, retention."""
    from streams.settings import read_settings

    asyncio.run(_topics(read_settings()))


async def _topics(settings: "Settings") -> None:
    from rich.console import Console
    from rich.table import Table

    from gateway.cli.doors import is_held, open_for_reading
    from streams.log.open import open_log
    from streams.topics import all_topics
    from streams.topics_check import ensure_topics

    if is_held(settings):  # by a Freshet, which has made them
        created: tuple[str, ...] = ()
    else:
        log = open_log(settings)
        await log.start()
        try:
            created = (await ensure_topics(log, settings)).created
        finally:
            await log.stop()

    async with open_for_reading(settings) as log:
        found = await log.describe([spec.name for spec in all_topics(settings)])
    table = Table("topic", "partitions", "cleanup", "retention", "")
    for name, spec in found.items():
        state = "created" if name in created else "there"
        table.add_row(name, str(spec.partitions), spec.cleanup, _retention(spec.retention_ms), state)
    Console().print(table)


def _retention(ms: int) -> str:
    days = ms / 86_400_000
    return "for ever" if ms < 0 else f"{days:g} day{'' if days == 1 else 's'}"
