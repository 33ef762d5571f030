"""Event logs in files, for `freshet replay` and `freshet evaluate`: CSV, TSV, JSON Lines and Parquet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from recsys.errors import ConfigError, EventError
from recsys.events import Action
from streams.feeds.columns import time_of_text
from streams.parquet_files import SUFFIXES, columns_of, read_rows
from streams.text_files import Lines, format_of, open_text, read_table
from streams.wire.aliases import action_named
from streams.wire.limits import MAX_VALUE, check_id
from streams.wire.reading import check_number, decode_object

TABLES = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class ColumnNames:
    """Which column holds what; `basket`, `type` and `value` may be missing while they have their default names."""

    user: str = "user"
    item: str = "item"
    ts: str = "ts"
    basket: str = "basket"
    type: str = "type"
    value: str = "value"


class EventRow(NamedTuple):
    """One row, counted from 1 without the header; `basket` is empty where the log has none."""

    row: int
    user_id: str
    item_id: str
    ts_ms: int
    basket: str
    action: Action
    value: float


class RefusedRow(NamedTuple):
    """A row that is no event, and why."""

    row: int
    reason: str
    text: str


_OPTIONAL = ("basket", "type", "value")
_DEFAULTS = ColumnNames()


def read_event_log(
    path: Path, columns: ColumnNames = _DEFAULTS, *, default_action: Action = Action.CLICK
) -> Iterator[EventRow | RefusedRow]:
    """The events of a log in the order of the file, one at a time; a time without a zone is UTC.

    Raises
    ------
    ConfigError
        The file cannot be read, its format is unknown, or a column is missing (the text names those there are).
    """
    kind = _known_format(path)
    read = _read_parquet if kind in SUFFIXES else _read_table if kind in TABLES else _read_lines
    return read(path, columns, default_action)


def read_column(path: Path, column: str) -> list[str]:
    """All that one column, or one member of JSON Lines, holds; empty cells and broken rows left out.

    Raises
    ------
    ConfigError
        As `read_event_log`.
    """
    kind = _known_format(path)
    if kind in SUFFIXES:
        _check_column(path, column, columns_of(path))
        return [str(row[column]) for row in read_rows(path, [column]) if row.get(column) not in (None, "")]
    with open_text(path) as text:
        if kind in JSON_LINES:
            cells = [_member(line, column) for line in text if line.strip()]
            if not any(cells):
                raise ConfigError(f"{path} has no line with {column!r}.")
            return [cell for cell in cells if cell]
        header, rows = read_table(text, path)
        _check_column(path, column, header)
        at = header.index(column)
        return [row[at] for row in rows if not isinstance(row, EventError) and row[at]]


def _check_column(path: Path, column: str, there: list[str]) -> None:
    if column not in there:
        raise ConfigError(f"{path} has no column {column!r}; it has {', '.join(there)}.")


def _member(line: str, name: str) -> str:
    try:
        value = decode_object(line.encode()).get(name)
    except EventError:
        return ""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _known_format(path: Path) -> str:
    kind = format_of(path)
    if kind not in TABLES + JSON_LINES + SUFFIXES:
        known = ", ".join(TABLES + JSON_LINES + SUFFIXES)
        raise ConfigError(f"{path} must be named by its format: {known}, text also with .gz or .xz.")
    return kind


def _read_table(path: Path, columns: ColumnNames, default_action: Action) -> Iterator[EventRow | RefusedRow]:
    with open_text(path) as text:
        header, rows = read_table(text, path)
        check_columns(path, header, columns)
        at = {name: header.index(column) for name, column in _named(columns) if column in header}
        user, item, ts = at["user"], at["item"], at["ts"]
        basket, kind, value = at.get("basket"), at.get("type"), at.get("value")
        moments = _Moments(columns.ts)
        for number, row in enumerate(rows, start=1):
            try:
                if isinstance(row, EventError):
                    raise row
                yield EventRow(
                    number,
                    check_id(columns.user, row[user]),
                    check_id(columns.item, row[item]),
                    moments(row[ts]),
                    "" if basket is None else row[basket],
                    default_action if kind is None else _action(columns.type, row[kind], default_action),
                    1.0 if value is None else _number(columns.value, row[value]),
                )
            except EventError as error:
                yield RefusedRow(number, error.reason, error.text)


def _read_lines(path: Path, columns: ColumnNames, default_action: Action) -> Iterator[EventRow | RefusedRow]:
    with open_text(path) as text:
        lines, number, is_checked = Lines(text), 0, False
        moments = _Moments(columns.ts)
        while True:
            number += 1
            try:
                line = next(lines)
                if not line.strip():
                    continue
                raw = decode_object(line.encode())
                if not is_checked:  # later lines may lack a field, the first shows the names
                    check_columns(path, list(raw), columns)
                    is_checked = True
                yield _of_object(number, raw, columns, moments, default_action)
            except StopIteration:
                return
            except EventError as error:
                yield RefusedRow(number, error.reason, error.text)


def _read_parquet(path: Path, columns: ColumnNames, default_action: Action) -> Iterator[EventRow | RefusedRow]:
    there = columns_of(path)
    check_columns(path, there, columns)
    moments = _Moments(columns.ts)
    wanted = [column for _, column in _named(columns) if column in there]
    for number, row in enumerate(read_rows(path, wanted), start=1):
        try:
            yield _of_object(number, row, columns, moments, default_action)
        except EventError as error:
            yield RefusedRow(number, error.reason, error.text)


def _of_object(
    number: int, raw: dict[str, object], columns: ColumnNames, moments: Callable[[str], int], default_action: Action
) -> EventRow:
    def text(name: str) -> str:
        value = raw.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise EventError("wrong-type", f"{name} must be text or a number.")
        return "" if value is None else str(value)

    return EventRow(
        number,
        check_id(columns.user, text(columns.user)),
        check_id(columns.item, text(columns.item)),
        moments(text(columns.ts)),
        text(columns.basket),
        _action(columns.type, text(columns.type), default_action),
        _number(columns.value, text(columns.value)),
    )


def check_columns(path: Path, there: list[str], columns: ColumnNames) -> None:
    """ConfigError for a column that is asked for and not there; it names those that are."""
    for name, column in _named(columns):
        may_lack = name in _OPTIONAL and column == getattr(_DEFAULTS, name)
        if column not in there and not may_lack:
            raise ConfigError(f"{path} has no column {column!r} for the {name}; it has {', '.join(there)}.")


def _named(columns: ColumnNames) -> list[tuple[str, str]]:
    return [(field.name, getattr(columns, field.name)) for field in fields(columns)]


class _Moments:
    """Texts to epoch milliseconds; neighbours in a log often share theirs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._text, self._ms = "", -1

    def __call__(self, text: str) -> int:
        if text != self._text or self._ms < 0:
            self._ms = time_of_text(self._name, text)
            self._text = text
        return self._ms


def _action(name: str, text: str, default: Action) -> Action:
    if not text:
        return default
    action = action_named(text)
    if action is None:
        raise EventError("unknown-type", f"{name} is {text[:60]!r}, which is no action; docs/events.md lists them.")
    return action


def _number(name: str, text: str) -> float:
    if not text:
        return 1.0
    try:
        number = float(text)
    except ValueError as error:
        raise EventError("wrong-type", f"{name} must be a number.") from error
    return check_number(name, number, 0.0, MAX_VALUE)
