import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import SnapshotError, UnavailableError
from streams.snapshots import read_snapshot, write_snapshot

PARTS = {"products": b"lamp" * 100, "rows-0": b"", "vectors-0": bytes(range(256))}
META = {"offsets": {"0": 12, "1": 3}}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("catalogue/*"))


def test_what_is_read_is_what_was_written(tmp_path):
    write_snapshot(tmp_path / "deep", "catalogue", PARTS, META)

    assert read_snapshot(tmp_path / "deep", "catalogue") == (PARTS, META)


def test_no_snapshot_is_no_error(tmp_path):
    assert read_snapshot(tmp_path, "catalogue") is None


def test_a_new_snapshot_takes_the_place_of_the_old_one_and_leaves_nothing_of_it(tmp_path):
    write_snapshot(tmp_path, "catalogue", PARTS, META)
    write_snapshot(tmp_path, "catalogue", {"products": b"boot"}, {})

    assert read_snapshot(tmp_path, "catalogue") == ({"products": b"boot"}, {})
    assert len(files(tmp_path)) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_flipped_bit_or_a_cut_anywhere_is_noticed(tmp_path, data):
    write_snapshot(tmp_path, "catalogue", PARTS, META)
    path = data.draw(st.sampled_from([path for path in files(tmp_path) if path.stat().st_size]))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[at:]
    path.write_bytes(content)

    with pytest.raises(SnapshotError):
        read_snapshot(tmp_path, "catalogue")


def test_a_missing_part_is_noticed(tmp_path):
    write_snapshot(tmp_path, "catalogue", PARTS, META)
    next(path for path in files(tmp_path) if path.name.endswith("rows-0")).unlink()

    with pytest.raises(SnapshotError, match="rows-0"):
        read_snapshot(tmp_path, "catalogue")


@pytest.mark.parametrize("broken_off_at", ["replace", "fsync"])
def test_a_write_that_breaks_off_leaves_the_old_snapshot(tmp_path, monkeypatch, broken_off_at):
    write_snapshot(tmp_path, "catalogue", PARTS, META)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken_off_at, fail)
        with pytest.raises(UnavailableError, match="No space left"):
            write_snapshot(tmp_path, "catalogue", {"products": b"boot"}, {})

    assert read_snapshot(tmp_path, "catalogue") == (PARTS, META)
    write_snapshot(tmp_path, "catalogue", {"products": b"boot"}, {})
    assert len(files(tmp_path)) == 2
