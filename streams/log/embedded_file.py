"""The SQLite file of the embedded log: its tables, what is in memory of them, and how records are read."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from recsys.errors import ConfigError, StateError
from streams.log.base import Headers, Record, TopicPartition, TopicSpec

SCHEMA_VERSION = 1
OFFSET_BITS = 40
"""A record's row id is its partition's id and its offset: 2^23 partitions of 2^40 records."""
OFFSET_MASK = (1 << OFFSET_BITS) - 1
READ_BYTES = 4 << 20
"""One read stops at about this size, which keeps the event loop for some milliseconds at most."""
WAL_BYTES = 16 << 20
"""The write-ahead log is cut back to this after each checkpoint; smaller means more of them."""

# Kept as one B-tree by row id, so a record up to 4 KB lies beside its neighbours and needs no page of its own.
SCHEMA = """
CREATE TABLE IF NOT EXISTS schema(version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS topic(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, cleanup TEXT NOT NULL,
  retention_ms INTEGER NOT NULL, config TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS part(id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
  start INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,
  cleaned INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0, UNIQUE(topic, partition));
CREATE TABLE IF NOT EXISTS record(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB);
CREATE TABLE IF NOT EXISTS committed(grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  offset INTEGER NOT NULL, PRIMARY KEY(grp, topic, partition)) WITHOUT ROWID;
"""

Row = tuple[int, int, bytes | None, bytes | None, bytes | None]
"""id, time stamp, key, value, encoded headers"""


@dataclass(slots=True)
class Part:
    """One partition: `start` is its first offset, `next` follows the last durable one, `allocated` the last given out.

    `next` never goes back, also when records are removed; `cleaned` and `kept` tell where the last compaction ended
    and how many records it left.
    """

    id: int
    start: int = 0
    next: int = 0
    allocated: int = 0
    cleaned: int = 0
    kept: int = 0

    def row_id(self, offset: int) -> int:
        return self.id << OFFSET_BITS | offset


class Topic(NamedTuple):
    """A topic and its partitions, by number."""

    spec: TopicSpec
    parts: list[Part]


@dataclass
class Contents:
    """What the file holds besides the records."""

    path: Path
    topics: dict[str, Topic] = field(default_factory=dict)
    committed: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)

    def topic(self, name: str) -> Topic:
        found = self.topics.get(name)
        if found is None:
            raise ConfigError(f"The log {self.path} has no topic {name!r}; create it first.")
        return found

    def part(self, topic: str, partition: int) -> Part:
        parts = self.topic(topic).parts
        if not 0 <= partition < len(parts):
            raise ConfigError(f"Topic {topic!r} has {len(parts)} partitions, so there is no partition {partition}.")
        return parts[partition]


def connect(path: Path, sync: str) -> sqlite3.Connection:
    """Open the file for reading and writing, in WAL mode."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={sync}")
    db.execute("PRAGMA wal_autocheckpoint=2000")
    db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    return db


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the file for reading alone; another process may be writing to it."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA query_only=1")
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new file.

    Raises
    ------
    ConfigError
        If the file has the schema of another version of Freshet.
    """
    db.executescript(SCHEMA)
    db.execute("INSERT INTO schema SELECT ? WHERE NOT EXISTS (SELECT 1 FROM schema)", (SCHEMA_VERSION,))
    (version,) = db.execute("SELECT version FROM schema").fetchone()
    if version != SCHEMA_VERSION:
        raise ConfigError(f"The log {path} has schema {version}, and this Freshet reads {SCHEMA_VERSION}.")


def unreadable(path: Path, error: Exception) -> StateError:
    """What to raise when SQLite cannot make sense of the file."""
    return StateError(f"The log {path} cannot be read ({error}): restore it from a backup, or move it away.")


def load(db: sqlite3.Connection, path: Path) -> Contents:
    """Read the topics, their partitions and the committed offsets."""
    contents = Contents(path)
    parts: dict[int, list[Part]] = {}
    for topic, id_, start, end, cleaned, kept in db.execute(
        "SELECT topic, id, start, next, cleaned, kept FROM part ORDER BY topic, partition"
    ):
        parts.setdefault(topic, []).append(Part(id_, start, end, end, cleaned, kept))
    for id_, name, cleanup, keep_ms, config in db.execute("SELECT id, name, cleanup, retention_ms, config FROM topic"):
        settings = msgspec.json.decode(config, type=dict[str, str])
        contents.topics[name] = Topic(TopicSpec(name, len(parts[id_]), cleanup, keep_ms, settings), parts[id_])
    for group, name, partition, offset in db.execute("SELECT grp, topic, partition, offset FROM committed"):
        contents.committed.setdefault(group, {})[TopicPartition(name, partition)] = offset
    return contents


def create_topics(db: sqlite3.Connection, specs: Iterable[TopicSpec]) -> list[Topic]:
    """Write those topics that do not exist yet, and return them."""
    created = []
    for spec in specs:
        config = msgspec.json.encode(dict(spec.config)).decode()
        row = db.execute(
            "INSERT INTO topic(name, cleanup, retention_ms, config) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING id",
            (spec.name, spec.cleanup, spec.retention_ms, config),
        ).fetchone()
        if row is not None:
            rows = [(row[0], partition) for partition in range(spec.partitions)]
            ids = [db.execute("INSERT INTO part(topic, partition) VALUES (?, ?)", each).lastrowid or 0 for each in rows]
            created.append(Topic(spec, [Part(id_) for id_ in ids]))
    return created


def encode_headers(headers: Headers) -> bytes | None:
    return msgspec.msgpack.encode(headers) if headers else None


def decode_headers(encoded: bytes | None) -> Headers:
    return msgspec.msgpack.decode(encoded, type=Headers) if encoded else ()


def read_records(
    db: sqlite3.Connection, at: TopicPartition, part: Part, offset: int, end: int, limit: int
) -> list[Record]:
    """Return up to `limit` records from `offset` on and before `end`, about `READ_BYTES` of them at most."""
    query = "SELECT id, ts, key, value, headers FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    rows = db.execute(query, (part.row_id(offset), part.row_id(end), limit))
    records: list[Record] = []
    size = 0
    for id_, timestamp_ms, key, value, headers in rows:
        records.append(Record(*at, id_ & OFFSET_MASK, timestamp_ms, key, value, decode_headers(headers)))
        size += len(value or b"")
        if size >= READ_BYTES:
            break
    rows.close()  # else the read transaction stays open, and the write-ahead log could not be cut back
    return records
