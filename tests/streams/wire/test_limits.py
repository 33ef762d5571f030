"""Depth is measured outside strings, exactly, and in linear time."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import EventError
from streams.wire.limits import MAX_DEPTH, MAX_MESSAGE_BYTES, check_bytes, depth_of


def depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


TREES = st.recursive(
    st.text('[]{}"\\ab', max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=2),
    max_leaves=30,
)


@given(TREES, st.integers(0, 24))
def test_depth_is_that_of_the_parsed_value(tree: object, wraps: int) -> None:
    for _ in range(wraps):
        tree = [tree, "]"]

    assert depth_of(json.dumps(tree).encode()) == max(depth(tree), MAX_DEPTH)


def test_sixteen_levels_are_taken() -> None:
    check_bytes(b'{"x":' + b"[" * 15 + b"]" * 15 + b"}")


@pytest.mark.parametrize(
    "unit", [b'"', b'\\"', b'"\\', b"[", b"]", b"[]", b'["]', b'{"', b"[]]", b'"[', b"\\", b'"\\"[']
)
def test_hostile_messages_of_a_mebibyte_are_judged_at_once(unit: bytes) -> None:
    value = (b"[" * 20 + unit * MAX_MESSAGE_BYTES)[:MAX_MESSAGE_BYTES]

    start = time.process_time()
    with pytest.raises(EventError):
        check_bytes(value)
    assert time.process_time() - start < 2
