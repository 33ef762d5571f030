"""Each kind of snapshot that we write: damaged, it is made again from the log; an unwritable disk stops nothing."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.catalogue import Catalogue
from recsys.errors import UnavailableError
from streams import click_fold, snapshots
from streams.catalogue_file import OLDEST_MS, CatalogueFile
from streams.click_fold import ClickFold
from streams.log.base import Record
from streams.wire.click import encode_click
from tests.builders import NOON_MS, a_click
from tests.recsys.products import fields, unit, vectors

ROOT = Path(__file__).parents[2]


class CatalogueKind:
    """Of a worker or gateway: `streams.catalogue_file`."""

    name = "catalogue-worker"

    def __init__(self, folder: Path) -> None:
        self.file = CatalogueFile(folder, self.name, "catalog")

    async def save(self, n: int) -> None:
        catalogue = Catalogue()
        for number in range(n):
            catalogue.put_fields(fields(f"item-{number}"))
            catalogue.put_vectors(f"item-{number}", vectors(unit(number, 3), offset=number))
        await self.file.save(catalogue, {0: n}, NOON_MS)

    async def load(self) -> int:
        """How many events or products came back."""
        found = await self.file.load({0: 100}, NOON_MS)
        return 0 if found is None else len(found[0])


class TrainerKind:
    """Of the trainer: `streams.click_fold`."""

    name = click_fold.NAME

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def save(self, n: int) -> None:
        fold = ClickFold(200)
        for number in range(n):
            click = a_click(item_id=f"item-{number}")
            fold.put(Record("clicks", 0, number, NOON_MS + 10**6, b"ann", encode_click(click), ()))
        click_fold.write(self.folder, fold.folded())

    async def load(self) -> int:
        fold = ClickFold(200)
        await fold.restore(self.folder)
        return fold.n_events


def each(place: Path, change: Callable[[Path], None]) -> None:
    for path in sorted(place.iterdir()):
        change(path)


def truncated(place: Path) -> None:
    each(place, lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]))


def emptied(place: Path) -> None:
    each(place, lambda path: path.write_bytes(b""))


def bit_flipped(place: Path) -> None:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content and path.name != snapshots.MANIFEST:
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    each(place, flip)


def with_the_manifest_of_another(place: Path) -> None:
    snapshots.write_snapshot(place.parent, "another", {"products": b"x"}, {})
    shutil.copy(place.parent / "another" / snapshots.MANIFEST, place / snapshots.MANIFEST)


def half_written(place: Path) -> None:
    """All that a power cut before the first rename leaves."""
    (place / snapshots.MANIFEST).rename(place / f"abc.{snapshots.MANIFEST}")


def with_parts_of_another_form(place: Path) -> None:
    _, meta = snapshots.read_snapshot(place.parent, place.name) or ({}, {})
    snapshots.write_snapshot(place.parent, place.name, {"products": b"\xc1", "index": b"\x90"}, meta)


def of_a_newer_release(place: Path) -> None:
    parts, meta = snapshots.read_snapshot(place.parent, place.name) or ({}, {})
    before, snapshots.FORMAT = snapshots.FORMAT, snapshots.FORMAT + 1
    try:
        snapshots.write_snapshot(place.parent, place.name, parts, meta)
    finally:
        snapshots.FORMAT = before


def a_file_in_its_place(place: Path) -> None:
    shutil.rmtree(place)
    place.write_bytes(b"")


DAMAGES = [
    truncated,
    emptied,
    bit_flipped,
    with_the_manifest_of_another,
    half_written,
    with_parts_of_another_form,
    of_a_newer_release,
    a_file_in_its_place,
]


@pytest.mark.parametrize("kind", [CatalogueKind, TrainerKind])
async def test_a_sound_snapshot_comes_back(tmp_path: Path, kind):
    await kind(tmp_path).save(5)

    assert await kind(tmp_path).load() == 5


@pytest.mark.parametrize("kind", [CatalogueKind, TrainerKind])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_snapshot_counts_as_none_and_the_next_takes_its_place(tmp_path: Path, kind, damage, caplog):
    await kind(tmp_path).save(5)
    damage(tmp_path / kind.name)

    with caplog.at_level(logging.WARNING):
        assert await kind(tmp_path).load() == 0
    if damage is not half_written:  # that is no snapshot yet
        assert len(caplog.messages) == 1, "an operator is told in one sentence"

    if damage is not a_file_in_its_place:
        await kind(tmp_path).save(7)
        assert await kind(tmp_path).load() == 7


async def test_a_catalogue_that_cannot_be_saved_is_a_warning(tmp_path: Path, caplog):
    await CatalogueKind(tmp_path).save(5)
    a_file_in_its_place(tmp_path / CatalogueKind.name)

    with caplog.at_level(logging.WARNING):
        await CatalogueKind(tmp_path).save(7)

    assert ["cannot be written" in message for message in caplog.messages] == [True]


def test_a_disk_that_takes_nothing_is_spoken_of_once_a_minute_and_when_it_is_over(caplog):
    now_s = [0.0]
    complaints = snapshots.Complaints("So what.", lambda: now_s[0])
    with caplog.at_level(logging.INFO):
        complaints.written("one")
        for now_s[0] in (1.0, 30.0, 60.0, 61.0, 62.0):
            complaints.failed(UnavailableError("It cannot be written."))
        complaints.written("one")
        complaints.written("one")
        complaints.failed(UnavailableError("It cannot be written."))

    cannot = "It cannot be written. So what."
    assert caplog.messages == [cannot, cannot, "The snapshot one is written again.", cannot]


def test_what_was_begun_on_a_full_disk_does_not_fill_it_further(tmp_path: Path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        snapshots.write_snapshot(tmp_path, "one", {"part": b"x"}, {})
    assert list((tmp_path / "one").iterdir()) == []


async def test_a_snapshot_of_a_clock_that_has_been_put_back_since_is_not_used(tmp_path: Path):
    """How old it really is nobody knows."""
    await CatalogueKind(tmp_path).save(5)
    file = CatalogueFile(tmp_path, CatalogueKind.name, "catalog")

    assert await file.load({0: 100}, NOON_MS - OLDEST_MS - 1) is None
    assert await file.load({0: 100}, NOON_MS - 3_600_000) is not None


def test_nothing_that_we_keep_on_disk_is_unpickled_or_read_without_a_manifest():
    forbidden = re.compile(r"\bpickle\b(?! )|\bjoblib\b|read_index\(|np\.load\(|allow_pickle=True|weights_only=False")
    sources = [path for room in ("recsys", "encoders", "streams", "gateway") for path in (ROOT / room).rglob("*.py")]
    code = {path: re.sub(r'"""[\s\S]*?"""', "", path.read_text()) for path in sources}

    assert [path for path, text in code.items() if forbidden.search(text)] == []
