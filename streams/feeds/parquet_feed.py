"""Feeds as Parquet: columns as in a table, or with lists and objects as in a message of `products`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from recsys.errors import ConfigError, EventError
from recsys.events import Product
from streams.feeds.columns import NAMES, column_name, product_of
from streams.feeds.rows import FeedRow, refused
from streams.parquet_files import columns_of, read_rows
from streams.wire.product import read_product


def read_parquet_feed(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """The rows of a Parquet file, one at a time.

    Raises
    ------
    ConfigError
        The file cannot be read or has no column for the id.
    """
    columns = columns_of(path)
    if not {column_name(name) for name in columns} & set(NAMES["item_id"]):
        raise ConfigError(f"{path} has no column item_id or id; it has {', '.join(columns)}.")
    for number, row in enumerate(read_rows(path), start=1):
        try:
            yield FeedRow(number, _product(row, now_ms))
        except EventError as error:
            yield refused(number, error)


def _product(row: Mapping[str, object], now_ms: int) -> Product:
    if any(isinstance(value, list | dict) for value in row.values()):
        return read_product(row, now_ms)
    return product_of({column_name(name): _text(value) for name, value in row.items()}, now_ms)


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
