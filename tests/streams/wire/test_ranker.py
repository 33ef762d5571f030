"""Ranker weights go through the log as they are, and are left aside where they mean something else."""

import msgspec
import numpy as np
import pytest

from recsys.errors import StateError
from recsys.ranker import N_FEATURES, N_ROWS
from streams.wire.ranker import (
    FEATURES_DIGEST,
    IN_USE_KEY,
    SCHEMA,
    SLOTS,
    RankerRecord,
    decode_ranker,
    encode_ranker,
    is_ranker,
    packed_table,
    slot_key,
    version_of,
)
from tests.builders import NOON_MS


def a_ranker(generation: int = 3, **changes) -> RankerRecord:
    table = packed_table(np.random.default_rng(generation).normal(size=(N_ROWS, N_FEATURES)))
    version = version_of(generation, table)
    record = RankerRecord(SCHEMA, version, generation, FEATURES_DIGEST, table, 900, 0.1, 0.05, 0.15, NOON_MS)
    return msgspec.structs.replace(record, **changes)


def test_weights_come_back_as_every_process_uses_them():
    record = a_ranker()

    found = decode_ranker(encode_ranker(record))

    assert found == record
    weights = found.weights()
    assert weights is not None
    assert weights.version == record.version
    assert packed_table(weights.table) == record.table


def test_weights_of_other_features_are_not_used():
    assert decode_ranker(encode_ranker(a_ranker(features=b"another", table=b""))).weights() is None


@pytest.mark.parametrize(
    "value",
    [b"", b"damaged", encode_ranker(a_ranker(schema=SCHEMA + 1)), encode_ranker(a_ranker(table=b"1234"))],
    ids=["empty", "damaged", "newer", "cut"],
)
def test_what_cannot_be_read_is_said_in_one_sentence(value: bytes):
    with pytest.raises(StateError, match="ranker"):
        decode_ranker(value)


def test_versions_sort_by_age_and_the_newest_few_have_slots_of_their_own():
    versions = [a_ranker(generation).version for generation in range(1, 12)]

    assert versions == sorted(versions)
    assert len({slot_key(generation) for generation in range(5, 5 + SLOTS)}) == SLOTS
    assert all(is_ranker(key) for key in (IN_USE_KEY, slot_key(4)))
    assert not any(is_ranker(key) for key in (None, b"als", b"a:0"))
