"""Products: what is refused and why, what is understood, and that encoding and parsing are inverse."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import EventError
from recsys.events import Price, Product
from streams.wire.product import encode_product, parse_product
from tests.streams.wire.bad_messages import BAD_PRODUCTS, RECORD_TS_MS, product

IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
FILLED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
PRODUCTS = st.builds(
    Product,
    item_id=IDS,
    title=FILLED,
    description=TEXTS,
    category=st.lists(FILLED, max_size=4).map(tuple),
    brand=TEXTS,
    price=st.none() | st.builds(Price, st.floats(0, 1e9, allow_nan=False), st.sampled_from(["EUR", "CNY"])),
    images=st.lists(FILLED, max_size=3).map(tuple),
    tags=st.lists(FILLED, max_size=3).map(tuple),
    attributes=st.dictionaries(FILLED, TEXTS, max_size=3),
    available=st.booleans(),
    created_at_ms=st.none() | st.integers(0, RECORD_TS_MS),
    group_id=st.just("") | IDS,
    url=TEXTS,
)


def reason_of(value: bytes, **named: object) -> str:
    with pytest.raises(EventError) as caught:
        parse_product(value, record_ts_ms=RECORD_TS_MS, **named)  # type: ignore[arg-type]
    assert caught.value.text.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize(("value", "reason"), [pytest.param(v, r, id=name) for name, v, r in BAD_PRODUCTS])
def test_a_bad_product_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    assert reason_of(value) == reason


def test_the_product_of_the_contract_is_read_whole() -> None:
    assert parse_product(product(), key=b"sku-1", record_ts_ms=RECORD_TS_MS) == Product(
        item_id="sku-1",
        title="Granny Smith apple",
        description="Crisp, sour…",
        category=("Fruit", "Apple"),
        brand="Garant",
        price=Price(2.5, "EUR"),
        images=("https://cdn.shop.example/1.jpg",),
        tags=("organic",),
        attributes={"colour": "green"},
        created_at_ms=RECORD_TS_MS,
    )


@given(PRODUCTS)
def test_what_is_written_reads_the_same(written: Product) -> None:
    assert parse_product(encode_product(written), key=written.item_id.encode(), record_ts_ms=RECORD_TS_MS) == written


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_raise_nothing_but_event_errors(value: bytes) -> None:
    assert reason_of(value)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=6))
def test_a_mutated_product_is_read_or_refused(mutations: list[tuple[int, int, int]]) -> None:
    value = bytearray(product())
    for place, byte, kind in mutations:
        at = place % len(value)
        value[at : at + (kind != 1)] = b"" if kind == 2 else bytes([byte])
    try:
        read = parse_product(bytes(value), record_ts_ms=RECORD_TS_MS)
    except EventError:
        return
    assert parse_product(encode_product(read), record_ts_ms=RECORD_TS_MS) == read


def test_an_item_as_ga4_spells_it() -> None:
    value = json.dumps(
        {
            "item_id": "sku-1",
            "item_name": "Apple",
            "item_brand": "Garant",
            "item_category": "Fruit",
            "item_category2": "Apple",
            "price": 2.5,
            "currency": "eur",
        }
    ).encode()

    assert parse_product(value, record_ts_ms=RECORD_TS_MS) == Product(
        item_id="sku-1", title="Apple", brand="Garant", category=("Fruit", "Apple"), price=Price(2.5, "EUR")
    )


def test_a_product_as_segment_spells_it() -> None:
    value = b'{"product_id": "p", "name": "Monopoly", "category": "Games", "image_url": "https://a/b.png", "url": "https://a"}'

    assert parse_product(value, record_ts_ms=RECORD_TS_MS) == Product(
        item_id="p", title="Monopoly", category=("Games",), images=("https://a/b.png",), url="https://a"
    )


@pytest.mark.parametrize("least", [{"title": "a"}, {"description": "a"}, {"image": "a.png"}, {"image": ["a.png"]}])
def test_the_least_a_product_needs(least: dict[str, object]) -> None:
    assert parse_product(json.dumps({"item_id": "a"} | least).encode(), record_ts_ms=RECORD_TS_MS).available


def test_a_picture_that_cannot_be_fetched_costs_no_product() -> None:
    read = parse_product(product(image="ftp://old.example/1.jpg"), record_ts_ms=RECORD_TS_MS)

    assert read.images == ("ftp://old.example/1.jpg",)


def test_the_key_must_be_the_item() -> None:
    assert reason_of(product(), key=b"sku-2") == "key-mismatch"
    assert reason_of(product(), key=b"k" * 1_000_000) == "key-mismatch"
    assert reason_of(product(), key=None) == "missing-key"


def test_an_announced_product_may_come_out_next_month() -> None:
    month_ms = 30 * 86_400_000

    assert parse_product(product(created_at=RECORD_TS_MS + month_ms), record_ts_ms=RECORD_TS_MS).created_at_ms
