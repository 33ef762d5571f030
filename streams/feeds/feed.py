"""A product feed, whatever its format."""

from collections.abc import Callable, Iterator
from pathlib import Path

from recsys.errors import ConfigError
from streams.feeds.json_files import read_json_document, read_json_lines, read_web_page
from streams.feeds.parquet_feed import read_parquet_feed
from streams.feeds.rows import FeedRow
from streams.feeds.rss import read_rss
from streams.feeds.tables import read_table_feed
from streams.parquet_files import SUFFIXES
from streams.text_files import format_of

READERS: dict[str, Callable[[Path, int], Iterator[FeedRow]]] = {
    ".csv": read_table_feed,
    ".tsv": read_table_feed,
    ".txt": read_table_feed,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_document,
    ".jsonld": read_json_document,
    ".html": read_web_page,
    ".htm": read_web_page,
    ".xml": read_rss,
    ".rss": read_rss,
    ".atom": read_rss,
    **dict.fromkeys(SUFFIXES, read_parquet_feed),
}
"""The format by the file's name; each but Parquet also with `.gz` or `.xz` behind it."""


def read_feed(path: Path, *, now_ms: int) -> Iterator[FeedRow]:
    """The rows of a feed, one at a time; the time decides which sale prices hold.

    Raises
    ------
    ConfigError
        The file cannot be read or its name says no format that we know.
    """
    reader = READERS.get(format_of(path))
    if reader is None:
        raise ConfigError(f"{path} must be named by its format: {', '.join(READERS)}, text also with .gz or .xz.")
    return reader(path, now_ms)
