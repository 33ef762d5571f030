"""Feeds as tables: CSV and TSV, Google Merchant Center's included."""

from collections.abc import Iterator
from pathlib import Path

from recsys.errors import ConfigError, EventError
from streams.feeds.columns import NAMES, column_name, product_of
from streams.feeds.rows import FeedRow, refused
from streams.text_files import open_text, read_table


def read_table_feed(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """The rows of a table, one at a time.

    Raises
    ------
    ConfigError
        The file cannot be read or has no column for the id.
    """
    with open_text(path) as text:
        header, rows = read_table(text, path)
        names = [column_name(name) for name in header]
        if not set(names) & set(NAMES["item_id"]):
            raise ConfigError(f"{path} has no column item_id or id; it has {', '.join(header)}.")
        for number, row in enumerate(rows, start=1):
            try:
                if isinstance(row, EventError):
                    raise row
                yield FeedRow(number, product_of(dict(zip(names, row, strict=True)), now_ms))
            except EventError as error:
                yield refused(number, error)
