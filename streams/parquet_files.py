"""Rows of Parquet files as JSON has them; `pyarrow` is an extra, loaded when the first such file is opened."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from recsys.errors import ConfigError

SUFFIXES = (".parquet", ".pq")
ROWS_AT_ONCE = 4_096
"""Decoded together; a feed's descriptions take some 10 MB then."""


def columns_of(path: Path) -> list[str]:
    """The names of the columns.

    Raises
    ------
    ConfigError
        The file cannot be read as Parquet, or `pyarrow` is missing.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, object]]:
    """The rows, one at a time, cells without a value left out; all columns, or those named.

    Times become RFC 3339 texts, whole numbers that a column of floats holds become ints: tables with gaps turn ids
    into floats.

    Raises
    ------
    ConfigError
        As `columns_of`, also in the middle of a damaged file.
    """
    with _opened(path) as file:
        batches = file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)
        while True:
            try:
                batch = next(batches, None)
                rows = None if batch is None else batch.to_pylist()
            except (OSError, ValueError) as error:  # pyarrow's errors are both
                raise _damaged(path, error) from error
            if rows is None:
                return
            for row in rows:
                yield {str(name): _plain(value) for name, value in row.items() if value is not None}


def _opened(path: Path) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ConfigError(
            f"{path} is Parquet, which takes the extra `parquet` to read: pip install 'pyarrow>=26,<27', or write CSV."
        ) from error
    try:
        return ParquetFile(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0].rstrip('.')}.")


def _plain(value: Any) -> object:
    """A cell as JSON would hold it."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(part) for part in value if part is not None]
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items() if part is not None}
    return value
