"""What lasts is looked through once; what is dropped before that is still collected, cycles too."""

import gc
import weakref

import pytest

from streams import collector


@pytest.fixture
def walked_once():
    """`looked_through_again` of conftest takes it back."""
    collector.walk_once()


class Node:
    other: "Node"


def a_cycle():
    one, two = Node(), Node()
    one.other, two.other = two, one
    return one


@pytest.mark.usefixtures("walked_once")
def test_what_survives_a_full_collection_is_not_looked_through_again():
    held = [a_cycle() for _ in range(1_000)]
    before = gc.get_freeze_count()

    gc.collect()

    assert gc.get_freeze_count() >= before + 2 * len(held)
    assert not any(one is held[0] for one in gc.get_objects())


@pytest.mark.usefixtures("walked_once")
def test_a_cycle_that_is_dropped_before_is_collected():
    dropped = weakref.ref(a_cycle())

    gc.collect()

    assert dropped() is None


@pytest.mark.usefixtures("walked_once")
def test_asking_twice_changes_nothing():
    collector.walk_once()

    assert gc.callbacks.count(collector._keep) == 1
