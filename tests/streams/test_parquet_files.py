"""Feeds and event logs in Parquet say the same as the same rows in CSV or JSON Lines."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from recsys.errors import ConfigError
from recsys.events import Action, Price
from streams.event_files import ColumnNames, EventRow, RefusedRow, read_column, read_event_log
from streams.feeds.feed import read_feed
from streams.parquet_files import ROWS_AT_ONCE

NOON_MS = 1_795_435_200_000
NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)


def written(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_a_log_in_parquet_holds_the_same_events_as_in_csv(tmp_path: Path) -> None:
    n = ROWS_AT_ONCE + 3
    columns = {
        "user": [f"u{row % 5}" for row in range(n)],
        "item": [f"i{row % 7}" for row in range(n)],
        "ts": [NOON_MS + row for row in range(n)],
        "type": ["view" if row % 2 else "purchase" for row in range(n)],
        "value": [row % 3 + 0.5 for row in range(n)],
    }
    rows = zip(*columns.values(), strict=True)
    table = tmp_path / "log.csv"
    table.write_text(",".join(columns) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))

    assert list(read_event_log(written(tmp_path / "log.parquet", columns))) == list(read_event_log(table))


@pytest.mark.parametrize(
    "ts", [[NOON], [NOON.replace(tzinfo=None)], [NOON_MS], [NOON_MS / 1000], ["2026-11-23T12:00:00Z"]]
)
def test_times_of_every_kind_are_understood(tmp_path: Path, ts: list[Any]) -> None:
    (row,) = read_event_log(written(tmp_path / "log.pq", {"user": ["ann"], "item": ["lamp"], "ts": ts}))

    assert row == EventRow(1, "ann", "lamp", NOON_MS, "", Action.CLICK, 1.0)


def test_ids_that_a_gap_made_floats_are_whole_numbers_again_and_the_gap_is_refused(tmp_path: Path) -> None:
    columns = {"customer": pa.array([17850.0, None]), "item": [22, 22], "ts": [NOON, NOON]}
    path = written(tmp_path / "log.parquet", columns)
    first, second = read_event_log(path, ColumnNames(user="customer"))

    assert isinstance(first, EventRow)
    assert (first.user_id, first.item_id) == ("17850", "22")
    assert isinstance(second, RefusedRow)
    assert second.reason == "invalid-id"
    assert read_column(path, "customer") == ["17850"]


def test_a_missing_column_is_named_beside_those_there_are(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", {"customer": ["ann"], "item": ["lamp"], "ts": [NOON]})

    for read in (lambda: list(read_event_log(path)), lambda: read_column(path, "user")):
        with pytest.raises(ConfigError, match=r"no column 'user'.* it has customer, item, ts"):
            read()


def test_a_feed_may_have_the_columns_of_a_table(tmp_path: Path) -> None:
    columns = {
        "id": [1, 2, None],
        "title": ["Lamp", "Sofa", "Nameless"],
        "image link": ["https://s/a.jpg", None, None],
        "price": ["59.90 EUR", "EUR 5", None],
        "availability": ["in_stock", "out of stock", None],
    }
    lamp, sofa, nameless = read_feed(written(tmp_path / "feed.parquet", columns), now_ms=NOON_MS)

    assert lamp.product is not None
    assert sofa.product is not None
    assert (lamp.product.item_id, lamp.product.images) == ("1", ("https://s/a.jpg",))
    assert (lamp.product.price, sofa.product.available) == (Price(59.9, "EUR"), False)
    assert (nameless.row, nameless.reason) == (3, "missing-field")


def test_a_feed_may_have_lists_and_objects_as_a_message_has(tmp_path: Path) -> None:
    message = {
        "item_id": "lamp",
        "title": "Lamp",
        "category": ["Home", "Light"],
        "price": {"amount": 12.5, "currency": "EUR"},
        "tags": ["warm"],
        "available": True,
    }
    lines = tmp_path / "feed.jsonl"
    lines.write_text(json.dumps(message))
    path = tmp_path / "feed.parquet"
    parquet.write_table(pa.Table.from_pylist([message]), path)

    assert list(read_feed(path, now_ms=NOON_MS)) == list(read_feed(lines, now_ms=NOON_MS))


def test_a_decimal_price_with_its_currency_is_a_price(tmp_path: Path) -> None:
    columns = {"sku": ["a"], "name": ["Lamp"], "price": [Decimal("12.50")], "currency": ["EUR"]}
    (row,) = read_feed(written(tmp_path / "feed.parquet", columns), now_ms=NOON_MS)

    assert row.product is not None
    assert row.product.price == Price(12.5, "EUR")


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", {"user": ["ann"], "item": ["lamp"], "ts": [NOON], "id": ["x"]})
    content = path.read_bytes()
    for damaged in (b"", b"user,item,ts", content[:-20], content[4:]):
        path.write_bytes(damaged)
        for read in (lambda: list(read_event_log(path)), lambda: list(read_feed(path, now_ms=NOON_MS))):
            with pytest.raises(ConfigError, match="cannot be read as Parquet") as refused:
                read()
            assert "\n" not in str(refused.value)


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "log.parquet", {"user": ["ann"]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(ConfigError, match="the extra `parquet`"):
        list(read_event_log(path))
