"""Text files from outside, plain or compressed: lines of bounded length, whatever stands in the file."""

import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.errors import ConfigError, EventError
from streams.wire.limits import MAX_MESSAGE_BYTES

COMPRESSED = (".gz", ".xz")
MAX_LINE_CHARS = MAX_MESSAGE_BYTES
"""A longer line is refused and passed over without being held in memory."""
BytesFile = io.BufferedReader | gzip.GzipFile | lzma.LZMAFile
_DELIMITERS = ",\t;"


def format_of(path: Path) -> str:
    """The suffix that names the format, in lower case, that of a compression left out: `.csv` of `a.csv.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_bytes(path: Path) -> Iterator[BytesFile]:
    """The file's bytes, decompressed as its name says.

    Raises
    ------
    ConfigError
        The file cannot be read, or its compressed data are damaged or cut off (also while it is read).
    """
    try:
        with _opened(path) as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path} is damaged or cut off: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error


def _opened(path: Path) -> BytesFile:
    if path.suffix.lower() == ".gz":
        return gzip.open(path)
    if path.suffix.lower() == ".xz":
        return lzma.open(path)
    return path.open("rb")


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The file's text: UTF-8, or UTF-16 where a byte order mark says so; other bytes stay visible as surrogates."""
    with open_bytes(path) as raw:
        encoding = "utf-16" if raw.peek(2)[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
        errors = "replace" if encoding == "utf-16" else "surrogateescape"
        with io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="") as text:
            yield text


class Lines:
    """Lines one by one; a line that is too long or not UTF-8 raises EventError, and the next call goes on after it."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.n_read = 0
        """Lines read so far: the number of the last one."""
        self.is_whole = True
        """Whether the last line had its end: where it has none, the file ends there, perhaps cut off."""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARS + 1)
        if not line:
            raise StopIteration
        self.n_read += 1
        self.is_whole = line.endswith(("\n", "\r"))
        if len(line) > MAX_LINE_CHARS:
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(MAX_LINE_CHARS)
            raise EventError("too-large", f"The line has more than {MAX_LINE_CHARS} characters.")
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError as error:
                raise EventError("not-utf8", "The line is not UTF-8; convert the file.") from error
        return line


def read_table(text: io.TextIOWrapper, path: Path) -> tuple[list[str], Iterator[list[str] | EventError]]:
    """The header of a CSV or TSV file, and its rows; a row that cannot be read comes as its error.

    The delimiter is whichever of comma, tab and semicolon the header has most of. Rows without any text are left out;
    what a row lacks at its end is empty, unless the file ends in the middle of it.

    Raises
    ------
    ConfigError
        The file is empty, or its header cannot be read.
    """
    csv.field_size_limit(MAX_LINE_CHARS)
    lines = Lines(text)
    try:
        first = next(lines, "")
        delimiter = max(_DELIMITERS, key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
    except (EventError, csv.Error) as error:
        raise ConfigError(f"The header of {path} cannot be read: {error}") from error
    if not any(name.strip() for name in header):
        raise ConfigError(f"{path} has no header line that names its columns.")
    return [name.strip() for name in header], _rows(lines, delimiter, len(header))


def _rows(lines: Lines, delimiter: str, width: int) -> Iterator[list[str] | EventError]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except EventError as error:
            yield error
        except csv.Error as error:
            yield EventError("malformed-row", f"The row cannot be read: {error}.")
        else:
            if len(row) > width:
                yield EventError("malformed-row", f"The row has {len(row)} fields, its header {width}.")
            elif 0 < len(row) < width and not lines.is_whole:
                yield EventError(
                    "malformed-row", f"Line {lines.n_read} is cut off: it has {len(row)} of {width} fields."
                )
            elif any(row):
                yield row + [""] * (width - len(row))
