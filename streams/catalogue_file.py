"""The catalogue's snapshot on disk, so that a restart reads only what came since."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from recsys.catalogue import Catalogue
from recsys.catalogue_snapshot import catalogue_from_snapshot, catalogue_to_snapshot
from recsys.errors import SnapshotError, UnavailableError
from streams.snapshots import Complaints, read_snapshot, write_snapshot

OLDEST_MS = 12 * 3_600_000
"""An older snapshot is not used: the tombstones of what was deleted since are only kept for a day."""
logger = logging.getLogger(__name__)


class CatalogueFile:
    """One process's snapshot of the catalogue, with the offsets of the topic that it is true up to.

    Parameters
    ----------
    topic : full name of the catalog topic; a snapshot of another topic is not used
    name : tells apart the processes that share a data folder
    """

    def __init__(self, folder: Path, name: str, topic: str) -> None:
        self._folder, self._name, self._topic = folder, name, topic
        self._saved: dict[int, int] = {}
        self._saving = asyncio.Lock()
        self._complaints = Complaints("A restart will read more of the catalogue's topic.")

    async def load(self, ends: Mapping[int, int], now_ms: int) -> tuple[Catalogue, dict[int, int]] | None:
        """The catalogue and the offsets to go on from; None where there is no snapshot that can be trusted.

        Parameters
        ----------
        ends : the topic's end offsets; a snapshot that reaches beyond them is of a topic that is no more
        """
        try:
            found = await asyncio.to_thread(read_snapshot, self._folder, self._name)
            if found is None:
                return None
            parts, meta = found
            offsets = {int(partition): offset for partition, offset in meta["offsets"].items()}
            # Of the future by as much, it is of a clock that has been put back since, and of an unknown age.
            if meta["topic"] != self._topic or abs(now_ms - meta["at_ms"]) > OLDEST_MS:
                return None
            if any(offset > ends.get(partition, 0) for partition, offset in offsets.items()):
                return None
            catalogue = await asyncio.to_thread(catalogue_from_snapshot, parts)
        except (SnapshotError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s The catalogue is read from its topic instead.", error)
            return None
        self._saved = offsets
        return catalogue, dict(offsets)

    async def save(self, catalogue: Catalogue, offsets: Mapping[int, int], now_ms: int) -> None:
        """Write a snapshot if anything came since the last; a full disk is a warning, for the topic has everything.

        The offsets must have been noted before the call: changes made while it runs may be in the snapshot or not.
        """
        async with self._saving:
            if dict(offsets) == self._saved:
                return
            meta = {"topic": self._topic, "offsets": {str(p): offset for p, offset in offsets.items()}, "at_ms": now_ms}
            try:
                parts = await asyncio.to_thread(catalogue_to_snapshot, catalogue)
                await asyncio.to_thread(write_snapshot, self._folder, self._name, parts, meta)
                self._saved = dict(offsets)
                self._complaints.written(self._name)
            except UnavailableError as error:
                self._complaints.failed(error)
