"""What an older release has written is read by this one, from bytes that were kept; what a newer one writes is refused.

`tests/golden/RELEASE/` holds one file a record. A change of form adds a folder, by `python -m
tests.streams.test_older_records RELEASE`, and never touches an older one: those bytes stand in topics.
"""

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recsys.als.model import Factors
from recsys.counts import ItemTrend, decode_trend, encode_trend
from recsys.errors import StateError
from recsys.events import Price, Product
from recsys.history import Interaction, UserState, decode_state, encode_state
from recsys.records import (
    CatalogueFields,
    CatalogueVectors,
    decode_fields,
    decode_vectors,
    encode_record,
    unpack_vector,
)
from streams.log.base import Record
from streams.wire.factors import FactorAssembler, encode_generation
from tests.builders import NOON_MS

GOLDEN = Path(__file__).parents[1] / "golden"
RELEASES = sorted(path.name for path in GOLDEN.iterdir())

STATE = UserState(
    epoch=1,
    offset=41,
    revision=2,
    watermark_ms=NOON_MS,
    history=[Interaction("lamp", 2, NOON_MS - 5, 1.0, 40), Interaction("shoe", 4, NOON_MS, 2.5, 41)],
    events={2**64 - 1: NOON_MS, 7: NOON_MS - 5},
    seen={2**63: NOON_MS},
    trigger_event="event-41",
    trigger_offset=41,
    queries=["red shoe", "låmp"],
)
FIELDS = CatalogueFields(
    schema=1,
    product=Product(
        item_id="lamp",
        title="Låmp",
        category=("Home", "Light"),
        price=Price(12.5, "EUR"),
        images=("a.jpg",),
        attributes={"colour": "red"},
        available=False,
        created_at_ms=NOON_MS,
        group_id="g",
    ),
    source_offset=17,
    content=bytes(range(16)),
)
VECTORS = CatalogueVectors(
    schema=1,
    content=bytes(range(16)),
    source_offset=17,
    text_encoder="t-1",
    image_encoder="i-1",
    text=np.array([0.6, 0.8], dtype=np.float16).tobytes(),
    image=b"",
    dropped=("image:fetch-timeout",),
)
TREND = ItemTrend(offset=12, popularity=3.25, at_ms=NOON_MS, count=4.0, pairs={"shoe": 1.5})
FACTORS = Factors(
    version="000003-5f0c2a9e",
    item_ids=("lamp", "shoe"),
    factors=np.array([[1.0, 0.5], [0.25, -1.0]], dtype=np.float32),
    regularization=0.5,
    content=None,
)


def records() -> dict[str, bytes]:
    """What this release writes, by file name."""
    generation = encode_generation(FACTORS, None, trained_at_ms=NOON_MS, n_events=9, offsets={0: 5})
    ((key, chunk),) = generation.chunks
    assert key == b"a:0"
    return {
        "user-state": encode_state(STATE),
        "catalog-fields": encode_record(FIELDS),
        "catalog-vectors": encode_record(VECTORS),
        "trends": encode_trend(TREND),
        "item-factors": chunk,
        "models": generation.manifest_value,
    }


def kept(release: str, name: str) -> bytes:
    return (GOLDEN / release / name).read_bytes()


@pytest.mark.parametrize("release", RELEASES)
def test_users_states_of_older_releases_are_read(release: str):
    assert decode_state(kept(release, "user-state")) == STATE


@pytest.mark.parametrize("release", RELEASES)
def test_the_catalogue_of_older_releases_is_read(release: str):
    assert decode_fields(kept(release, "catalog-fields")) == FIELDS
    vectors = decode_vectors(kept(release, "catalog-vectors"))
    assert vectors == VECTORS
    assert unpack_vector(vectors.text).tolist() == pytest.approx([0.6, 0.8], abs=1e-3)


@pytest.mark.parametrize("release", RELEASES)
def test_counts_of_older_releases_are_read(release: str):
    assert decode_trend(kept(release, "trends")) == TREND


@pytest.mark.parametrize("release", RELEASES)
def test_factors_of_older_releases_are_put_in_use(release: str):
    assembler = FactorAssembler()
    chunk = Record("item-factors", 0, 0, 0, b"a:0", kept(release, "item-factors"), ())
    manifest = Record("models", 0, 0, 0, b"als", kept(release, "models"), ())
    assert assembler.feed(chunk) is None

    model = assembler.feed(manifest)
    assert model is not None
    assert model.version == FACTORS.version
    assert np.array_equal(model.trained.factors, FACTORS.factors)


def test_this_release_writes_what_the_newest_kept_bytes_say():
    assert {name: kept(RELEASES[-1], name) for name in records()} == records()


@pytest.mark.parametrize(
    ("name", "decode"),
    [("user-state", decode_state), ("catalog-fields", decode_fields), ("catalog-vectors", decode_vectors)],
)
def test_a_record_of_a_newer_release_is_refused_in_one_sentence(name: str, decode):
    newer = msgspec.msgpack.decode(records()[name])
    newer[0] = 99

    with pytest.raises(StateError, match=r"has form 99, this release reads up to 1: upgrade first\.$"):
        decode(msgspec.msgpack.encode([*newer, "something new"]))


def main(release: str) -> None:
    """Keep the bytes that this release writes."""
    folder = GOLDEN / release
    folder.mkdir(parents=True)
    for name, value in records().items():
        (folder / name).write_bytes(value)


if __name__ == "__main__":
    main(sys.argv[1])
