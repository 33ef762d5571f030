"""Sealed indexes over a live segment: the answers of brute force over a dictionary, whatever happens in between."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recsys.index import exact, mutable, planning
from recsys.index.mutable import MutableSegment
from recsys.index.planning import Sealed, Step, next_step
from recsys.index.sealing import Sealing, is_due
from recsys.types import ItemRow

DIM = 8


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def drawn(seed, n=1):
    return unit(np.random.default_rng(seed).standard_normal((n, DIM)))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_small(monkeypatch.setattr)


def make_small(setattr_, graph_up_to=10_000):
    setattr_(planning, "SEAL_FROM", 12)
    setattr_(planning, "APPEND_FROM", 3)
    setattr_(planning, "GRAPH_UP_TO", graph_up_to)
    setattr_(exact, "GATHER_ROWS", 2)
    setattr_(exact, "FEW_ROWS", 2)
    setattr_(mutable, "SCAN_COST", 0.01)


def sealed(n_rows=100, n_stale=0, *, is_graph=True):
    return Sealed(n_rows, n_rows - n_stale, n_rows, is_graph)


def test_a_large_segment_is_sealed_as_a_graph_and_a_very_large_one_in_lists():
    assert next_step(planning.SEAL_FROM - 1, 0, None) is Step.NOTHING
    assert next_step(planning.SEAL_FROM, 0, None) is Step.GRAPH
    assert next_step(planning.GRAPH_UP_TO, 0, None) is Step.LISTS


def test_what_changed_is_appended_once_it_is_worth_a_copy():
    assert next_step(20, 2, sealed(20)) is Step.NOTHING
    assert next_step(20, 3, sealed(20)) is Step.APPEND
    assert next_step(1_000, 9, sealed(1_000)) is Step.NOTHING
    assert next_step(1_000, 10, sealed(1_000)) is Step.APPEND


def test_an_index_is_made_anew_once_much_of_it_is_out_of_date_or_of_another_size():
    assert next_step(61, 3, sealed(100, 39)) is Step.APPEND
    assert next_step(59, 3, sealed(100, 41)) is Step.GRAPH
    assert next_step(2 * planning.GRAPH_UP_TO, 0, sealed(2 * planning.GRAPH_UP_TO)) is Step.LISTS
    assert next_step(200, 0, sealed(100, is_graph=False)) is Step.GRAPH
    assert next_step(5, 0, sealed(20, 15)) is Step.DROP


def seal(segment):
    sealing = Sealing(segment)
    sealing.build()
    sealing.put_in_use()


def test_what_is_put_while_a_sealed_index_is_built_is_found_in_its_newest_version():
    segment = MutableSegment(DIM)
    vectors = drawn(0, 20)
    segment.fill(np.arange(20), vectors)
    sealing = Sealing(segment)
    sealing.build()
    segment.put(ItemRow(3), -vectors[3])
    segment.remove(ItemRow(4))
    segment.put(ItemRow(25), vectors[3])
    sealing.put_in_use()

    rows, _ = segment.search(vectors[3], 30, np.ones(30, bool))

    assert rows[0] == 25
    assert rows[-1] == 3
    assert 4 not in rows
    assert segment.n_unsealed == 2


def test_searches_go_on_in_the_old_index_until_the_new_one_is_in_use():
    segment = MutableSegment(DIM)
    segment.fill(np.arange(20), drawn(0, 20))
    seal(segment)
    before = segment.cover
    segment.fill(np.arange(20, 30), drawn(1, 10))
    sealing = Sealing(segment)
    sealing.build()

    assert segment.cover is before
    sealing.put_in_use()
    assert segment.cover is not before
    assert segment.n_unsealed == 0


class GraphMachine(RuleBasedStateMachine):
    """Puts, removals, filters and sealing in any order, the long step begun and ended at different moments."""

    graph_up_to = 10_000

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        make_small(self.patch.setattr, self.graph_up_to)
        self.segment, self.held, self.sealing = MutableSegment(DIM), {}, None

    def teardown(self):
        self.patch.undo()

    @rule(row=st.integers(0, 40), seed=st.integers(0, 10_000))
    def put(self, row, seed):
        self.held[row] = drawn(seed)[0].astype(np.float16).astype(np.float32)
        self.segment.put(ItemRow(row), self.held[row])

    @rule(start=st.integers(0, 30), seed=st.integers(0, 10_000))
    def put_many(self, start, seed):
        for row, vector in enumerate(drawn(seed, 10), start):
            self.held[row] = vector.astype(np.float16).astype(np.float32)
            self.segment.put(ItemRow(row), self.held[row])

    @rule(row=st.integers(0, 40))
    def remove(self, row):
        self.held.pop(row, None)
        self.segment.remove(ItemRow(row))

    @rule()
    def begin(self):
        if self.sealing is None and is_due(self.segment):
            self.sealing = Sealing(self.segment)

    @rule()
    def build(self):
        if self.sealing is not None:
            self.sealing.build()

    @rule()
    def put_in_use(self):
        if self.sealing is not None:
            self.sealing.build()
            self.sealing.put_in_use()
            self.sealing = None

    @rule(seed=st.integers(0, 10_000), k=st.integers(1, 20), share=st.sampled_from([0.05, 0.3, 1.0]))
    def search(self, seed, k, share):
        query = drawn(seed)[0]
        allowed = np.random.default_rng(seed).random(41) < share
        rows, scores = self.segment.search(query, 41, None if share == 1 else allowed)
        expected = sorted((float(v @ query) for row, v in self.held.items() if allowed[row]), reverse=True)

        assert scores.tolist()[:k] == pytest.approx(expected[:k], abs=1e-5)
        assert len(set(rows.tolist())) == len(rows)

    @invariant()
    def counts_agree(self):
        assert len(self.segment) == len(self.held)
        assert 0 <= self.segment.n_unsealed <= len(self.held)


class ListsMachine(GraphMachine):
    graph_up_to = 0


class BothMachine(GraphMachine):
    graph_up_to = 15


OFTEN = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestGraph, TestLists, TestBoth = GraphMachine.TestCase, ListsMachine.TestCase, BothMachine.TestCase
TestGraph.settings = TestLists.settings = TestBoth.settings = OFTEN
