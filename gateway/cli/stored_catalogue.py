"""The catalogue as it stands in the log, for commands that look at it."""

from typing import TYPE_CHECKING

from recsys.catalogue import Catalogue
from recsys.records import decode_fields, decode_vectors

if TYPE_CHECKING:
    from streams.settings import Settings

CHUNK = 10_000


async def read_catalogue(settings: "Settings") -> Catalogue:
    """Read the `catalog` topic to its end, whoever holds the log. Raises UnavailableError, StateError."""
    from gateway.cli.doors import open_for_reading
    from streams import topics
    from streams.agents.partition import read_to_end

    catalogue = Catalogue()
    topic = settings.topic_prefix + topics.CATALOG
    async with open_for_reading(settings) as log:
        for partition, end in sorted((await log.end_offsets(topic)).items()):
            for start in range(0, end, CHUNK):
                for record in await read_to_end(log, topic, partition, start, min(start + CHUNK, end)):
                    _put(catalogue, record.key or b"", record.value)
    return catalogue


def _put(catalogue: Catalogue, key: bytes, value: bytes | None) -> None:
    part, _, item_id = key.decode().partition(":")
    if part == "f":
        if value is None:
            catalogue.remove(item_id)
        else:
            catalogue.put_fields(decode_fields(value))
    elif value is None:
        catalogue.remove_vectors(item_id)
    else:
        catalogue.put_vectors(item_id, decode_vectors(value))
