"""Event logs in files: columns by any name, times of every kind, bad rows told apart from bad files."""

import gzip
import lzma
from pathlib import Path

import pytest

from recsys.errors import ConfigError
from recsys.events import Action
from streams.event_files import ColumnNames, EventRow, RefusedRow, read_event_log

NOON_MS = 1_795_435_200_000


def read(folder: Path, name: str, content: str | bytes, **columns: str) -> list[EventRow | RefusedRow]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_event_log(path, ColumnNames(**columns)))


def test_the_columns_by_their_default_names(tmp_path: Path) -> None:
    content = "user,item,ts,basket,type,value\nann,lamp,1795435200,b-1,purchase,2\nbob,sofa,1795435201,,view_item,\n"

    assert read(tmp_path, "log.csv", content) == [
        EventRow(1, "ann", "lamp", NOON_MS, "b-1", Action.PURCHASE, 2.0),
        EventRow(2, "bob", "sofa", NOON_MS + 1000, "", Action.VIEW, 1.0),
    ]


def test_only_user_item_and_time_must_be_there(tmp_path: Path) -> None:
    assert read(tmp_path, "log.tsv", "ts\titem\tuser\n1795435200\tlamp\tann\n") == [
        EventRow(1, "ann", "lamp", NOON_MS, "", Action.CLICK, 1.0)
    ]


def test_columns_by_names_of_their_own(tmp_path: Path) -> None:
    content = "InvoiceNo;Customer;Stock;When\ni-1;ann;lamp;2026-11-23T12:00:00Z\n"

    assert read(tmp_path, "log.csv", content, user="Customer", item="Stock", ts="When", basket="InvoiceNo") == [
        EventRow(1, "ann", "lamp", NOON_MS, "i-1", Action.CLICK, 1.0)
    ]


@pytest.mark.parametrize(
    "columns",
    [{"user": "customer"}, {"item": "sku"}, {"ts": "time"}, {"basket": "invoice"}, {"type": "kind"}, {"value": "qty"}],
)
@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_a_missing_column_is_named_beside_those_there_are(tmp_path: Path, name: str, columns: dict[str, str]) -> None:
    content = "user,item,ts\na,b,1\n" if name == "log.csv" else '{"user": "a", "item": "b", "ts": 1}\n'

    with pytest.raises(ConfigError, match="user, item, ts") as caught:
        read(tmp_path, name, content, **columns)
    assert repr(next(iter(columns.values()))) in str(caught.value)


@pytest.mark.parametrize(
    ("ts", "ms"),
    [
        ("1795435200", NOON_MS),
        ("1795435200.5", NOON_MS + 500),
        ("1795435200000", NOON_MS),
        ("2026-11-23T12:00:00Z", NOON_MS),
        ("2026-11-23 12:00:00", NOON_MS),
        ("2026-11-23T13:00:00+01:00", NOON_MS),
        ("2026-11-23", NOON_MS - 43_200_000),
    ],
)
def test_times_of_every_kind(tmp_path: Path, ts: str, ms: int) -> None:
    (row,) = read(tmp_path, "log.csv", f"user,item,ts\nann,lamp,{ts}\n")

    assert isinstance(row, EventRow)
    assert row.ts_ms == ms


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b",lamp,1,click,1", "invalid-id"),
        (b"ann,,1,click,1", "invalid-id"),
        (b"ann,lamp,,click,1", "invalid-time"),
        (b"ann,lamp,soon,click,1", "invalid-time"),
        (b"ann,lamp,-5,click,1", "invalid-time"),
        (b"ann,lamp,1_000,click,1", "invalid-time"),
        (b"ann,lamp,nan,click,1", "invalid-time"),
        (b"ann,lamp," + b"9" * 15 + b",click,1", "out-of-range"),
        (b"ann,lamp,1,teleport,1", "unknown-type"),
        (b"ann,lamp,1,click,many", "wrong-type"),
        (b"ann,lamp,1,click,nan", "out-of-range"),
        (b"ann,lamp,1,click,-1", "out-of-range"),
        (b"\xff,lamp,1,click,1", "not-utf8"),
        (b"a,b,c,d,e,f", "malformed-row"),
    ],
)
def test_a_bad_row_is_refused_and_the_next_is_read(tmp_path: Path, row: bytes, reason: str) -> None:
    refused, good = read(tmp_path, "log.csv", b"user,item,ts,type,value\n" + row + b"\nbob,sofa,2,view,1\n")

    assert isinstance(refused, RefusedRow)
    assert (refused.row, refused.reason) == (1, reason)
    assert isinstance(good, EventRow)


def test_json_lines_with_numbers_for_ids(tmp_path: Path) -> None:
    content = (
        '{"user": 7, "item": "lamp", "ts": 1795435200.25, "type": "like"}\n\n{"user": true, "item": 1, "ts": 1}\n[]\n'
    )

    assert [row[:2] for row in read(tmp_path, "log.jsonl", content)] == [
        (1, "7"),
        (3, "wrong-type"),
        (4, "not-an-object"),
    ]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_logs(tmp_path: Path, suffix: str, compress: object) -> None:
    packed = compress(b"user,item,ts\nann,lamp,1\n")  # type: ignore[operator]

    assert len(read(tmp_path, f"log.csv{suffix}", packed)) == 1
    with pytest.raises(ConfigError, match="damaged or cut off"):
        read(tmp_path, f"cut.csv{suffix}", packed[:-9])


def test_an_unknown_format_gets_a_sentence_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.tsv"):
        read(tmp_path, "log.xlsx", b"")


def test_the_real_logs(real_data: Path) -> None:
    shop = list(read_event_log(real_data / "online-retail" / "events.csv.xz"))
    ratings = list(read_event_log(real_data / "ml-latest-small" / "events.csv.xz", ColumnNames(value="rating")))

    assert (len(shop), len(ratings)) == (396_337, 100_004)
    assert not [row for row in (*shop, *ratings) if isinstance(row, RefusedRow)]
    assert isinstance(shop[0], EventRow)
    assert 1_291_161_600_000 <= shop[0].ts_ms < 1_291_248_000_000  # 1 December 2010
    assert all(row.basket for row in shop if isinstance(row, EventRow))


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_a_row_that_the_end_of_the_file_cuts_off_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    text = b"user,item,ts,value\nann,lamp,1795435200\nbob,sofa,1795435200"
    whole, cut = read(tmp_path, name, gzip.compress(text) if name.endswith(".gz") else text)

    assert isinstance(whole, EventRow)  # many programs leave out empty cells at the end of a row
    assert cut == RefusedRow(2, "malformed-row", "Line 3 is cut off: it has 3 of 4 fields.")


def test_a_last_row_without_a_line_end_is_taken_when_it_has_all_its_fields(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "log.tsv", "user\titem\tts\nann\tlamp\t1795435200")

    assert isinstance(row, EventRow)
