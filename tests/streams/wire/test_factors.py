from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.als.content import ContentMap
from recsys.als.model import FactorModel, Factors
from recsys.errors import StateError
from streams.log.base import Record
from streams.wire.factors import (
    CHUNK_BYTES,
    ITEMS_A_CHUNK,
    MANIFEST_KEY,
    FactorAssembler,
    Generation,
    Manifest,
    encode_generation,
    version_of,
)


def factors_of(n_items: int, n_factors: int = 8, seed: int = 0, generation: int = 1, id_length: int = 4) -> Factors:
    rng = np.random.default_rng(seed)
    item_ids = tuple(f"{row:0{id_length}d}" for row in range(n_items))
    rows = rng.normal(size=(n_items, n_factors)).astype(np.float32)
    content = ContentMap(rng.normal(size=(13, n_factors)).astype(np.float32), text_dim=5)
    return Factors(version_of(generation, item_ids, rows), item_ids, rows, regularization=0.25, content=content)


def generation_of(trained: Factors, previous: Manifest | None = None) -> Generation:
    return encode_generation(trained, previous, trained_at_ms=1_000, n_events=7, offsets={0: 3, 1: 4})


def records(generation: Generation) -> list[Record]:
    """Everything of a generation, the manifest last, as it is written."""
    chunks = [Record("item-factors", 0, n, 0, key, value, ()) for n, (key, value) in enumerate(generation.chunks)]
    return [*chunks, Record("models", 0, 0, 0, MANIFEST_KEY, generation.manifest_value, ())]


def fed(assembler: FactorAssembler, several: list[Record]) -> list[FactorModel]:
    return [model for record in several if (model := assembler.feed(record)) is not None]


def assert_same(model: FactorModel, trained: Factors) -> None:
    assert (model.trained.version, model.trained.item_ids) == (trained.version, trained.item_ids)
    assert np.array_equal(model.trained.factors, trained.factors)
    assert model.trained.regularization == trained.regularization
    assert model.trained.content is not None
    assert trained.content is not None
    assert np.array_equal(model.trained.content.weights, trained.content.weights)
    assert model.trained.content.text_dim == trained.content.text_dim


@settings(max_examples=30, deadline=None)
@given(order=st.randoms(), n_items=st.sampled_from([1, ITEMS_A_CHUNK, 2 * ITEMS_A_CHUNK + 1]))
def test_a_model_comes_out_once_whatever_order_its_records_come_in(order: object, n_items: int) -> None:
    trained = factors_of(n_items)
    several = records(generation_of(trained))
    order.shuffle(several)  # type: ignore[attr-defined]
    assembler = FactorAssembler()

    assert fed(assembler, several[:-1]) == []
    models = fed(assembler, [several[-1], *several])

    assert len(models) == 1
    assert_same(models[0], trained)


def test_half_a_generation_never_takes_the_place_of_a_whole_one() -> None:
    first, second = factors_of(2_500), factors_of(2_500, seed=1, generation=2)
    whole = generation_of(first)
    half = records(generation_of(second, whole.manifest))[:2]

    # The trainer died; a reader that starts now finds the first generation whole, and another trainer goes on.
    for several in ([*half, *records(whole)], [*records(whole), *half]):
        assembler = FactorAssembler()
        models = fed(assembler, several)
        assert [model.version for model in models] == [first.version]
    third = factors_of(2_500, seed=2, generation=2)
    models = fed(assembler, records(generation_of(third, assembler.manifest)))
    assert [model.version for model in models] == [third.version]


def test_generations_take_turns_in_two_slots_and_compaction_keeps_what_is_in_use() -> None:
    previous: Manifest | None = None
    compacted: dict[bytes, Record] = {}
    for generation in range(1, 5):
        # Each is shorter than the one before, so older chunks are left over under higher keys.
        trained = factors_of(6_000 - 1_000 * generation, seed=generation, generation=generation)
        whole = generation_of(trained, previous)
        assert previous is None or whole.manifest.slot != previous.slot
        for record in records(whole):
            compacted[record.key or b""] = record
        models = fed(FactorAssembler(), list(compacted.values()))
        assert [model.version for model in models] == [trained.version]
        previous = whole.manifest
    assert previous is not None
    assert previous.generation == 4


def test_a_manifest_that_is_read_before_the_chunks_waits_for_its_own() -> None:
    several: list[Record] = []
    previous: Manifest | None = None
    for generation in range(1, 4):
        whole = generation_of(factors_of(2_500, seed=generation, generation=generation), previous)
        several += records(whole)
        previous = whole.manifest
    newest, chunks = several[-1], [record for record in several if record.topic == "item-factors"]

    models = fed(FactorAssembler(), [newest, *chunks])

    assert previous is not None
    assert [model.version for model in models] == [previous.version]


def test_no_record_is_larger_than_a_log_takes() -> None:
    for trained in (factors_of(700, n_factors=512), factors_of(2_000, n_factors=150, id_length=500)):
        whole = generation_of(trained)

        assert max(len(value) for _, value in whole.chunks) < CHUNK_BYTES + 60_000
        assert_same(fed(FactorAssembler(), records(whole))[0], trained)


def test_an_altered_chunk_is_refused_and_the_model_before_stays() -> None:
    first, second = factors_of(10), factors_of(10, seed=1, generation=2)
    whole = generation_of(first)
    later = records(generation_of(second, whole.manifest))
    assembler = FactorAssembler()
    fed(assembler, records(whole))
    value = later[0].value or b""
    later[0] = later[0]._replace(value=value[:-1] + bytes([value[-1] ^ 1]))

    with pytest.raises(StateError, match="digest"):
        fed(assembler, later)

    assert assembler.version == first.version


@pytest.mark.parametrize("key", [MANIFEST_KEY, b"a:0"])
@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91\x01"])
def test_a_record_that_cannot_be_read_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        FactorAssembler().feed(Record("models", 0, 0, 0, key, value, ()))


def test_a_record_of_a_newer_form_asks_for_an_upgrade() -> None:
    whole = generation_of(factors_of(3))
    newer = replace(whole, manifest=Manifest(*[99, *list(_fields(whole.manifest))[1:]]))

    with pytest.raises(StateError, match="upgrade first"):
        FactorAssembler().feed(records(newer)[-1])


def _fields(manifest: Manifest) -> list[object]:
    return [getattr(manifest, name) for name in manifest.__struct_fields__]


def test_other_models_and_tombstones_are_passed_over() -> None:
    assembler = FactorAssembler()

    assert assembler.feed(Record("models", 0, 0, 0, b"ranker", b"anything", ())) is None
    assert assembler.feed(Record("item-factors", 0, 0, 0, b"a:0", None, ())) is None
    assert assembler.feed(Record("item-factors", 0, 0, 0, None, b"anything", ())) is None


def test_a_version_says_its_age_and_its_content() -> None:
    one, other = factors_of(3), factors_of(3, seed=1)

    assert one.version != other.version
    assert one.version < factors_of(3, generation=2).version
    assert one.version == factors_of(3).version


def test_a_model_without_a_content_map_has_none() -> None:
    trained = replace(factors_of(3), content=None)

    model = fed(FactorAssembler(), records(generation_of(trained)))[0]

    assert model.trained.content is None
