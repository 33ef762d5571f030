"""Commands on the log: topics, import, replay, dead letters; on a log that is free and on one that is held."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from streams.dead_letters import dead_letter
from streams.log.base import NewRecord, Record, TopicPartition
from streams.log.embedded import EmbeddedLog
from streams.settings import Settings
from streams.wire.click import REPLAYED
from tests.gateway.cli.command import Freshet, Outcome

FEED = """id,title,price,availability
lamp,Lamp,12.50 EUR,in stock
,Nameless,1 EUR,in stock
shoe,红鞋,80 EUR,out of stock
"""
EVENTS = """user,item,ts,basket
ann,lamp,1291192560,b1
ann,shoe,1291192560,b1
bob,,1291192561,b2
bob,lamp,1291192562,b2
"""


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def settings_of(freshet: Freshet) -> Settings:
    return Settings(data_dir=freshet.folder / "data")


def records(freshet: Freshet, topic: str) -> list[Record]:
    """Everything in a topic, whoever holds the log."""

    async def read() -> list[Record]:
        log = EmbeddedLog.open_read_only(settings_of(freshet).log_dir / "log.db")
        await log.start()
        ends = await log.end_offsets(topic)
        reader = log.reader({TopicPartition(topic, partition): 0 for partition in ends})
        found: list[Record] = []
        while len(found) < sum(ends.values()):
            found += await reader.poll(5)
        await reader.close()
        await log.stop()
        return found

    return asyncio.run(read())


def test_topics_are_made_and_then_found(freshet: Freshet) -> None:
    first, second = freshet("topics"), freshet("topics")

    assert first.code == second.code == 0
    assert "created" in first.out
    assert "created" not in second.out
    assert "recommendations" in second.out
    assert "365 days" in second.out


def test_a_topic_of_the_wrong_shape_is_one_sentence(freshet: Freshet) -> None:
    freshet("topics")
    freshet.env["FRESHET_PARTITIONS"] = "4"
    outcome = freshet("topics")

    assert outcome.code == 1
    assert "FRESHET_PARTITIONS" in outcome.err


def test_a_feed_goes_in_and_what_is_refused_is_told(freshet: Freshet, feed: Path, tmp_path: Path) -> None:
    report = tmp_path / "refused.jsonl"
    outcome = freshet("import", feed, "--report", report)

    assert outcome.code == 0
    assert "2 products taken, 1 rows refused" in outcome.out
    assert "row 2" in outcome.out
    assert [json.loads(line)["row"] for line in report.read_text().splitlines()] == [2]
    products = {record.key: json.loads(record.value or b"") for record in records(freshet, "products")}
    assert products[b"shoe"]["title"] == "红鞋"
    assert products[b"shoe"]["available"] is False


def test_a_feed_without_one_product_is_a_fault(freshet: Freshet, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("id,title\n,x\n,y\n")

    assert freshet("import", path).code == 1


def test_a_file_of_an_unknown_kind_is_one_sentence(freshet: Freshet, tmp_path: Path) -> None:
    path = tmp_path / "feed.docx"
    path.write_text("x")
    outcome = freshet("import", path)

    assert outcome.code == 1
    assert ".csv" in outcome.err


def test_events_go_in_with_the_same_ids_each_time(freshet: Freshet, events: Path) -> None:
    outcomes = [freshet("replay", events), freshet("replay", events)]

    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert "3 events taken, 1 rows refused" in outcomes[0].out
    assert ", the first: row " in outcomes[0].out
    clicks = [json.loads(record.value or b"") for record in records(freshet, "clicks")]
    assert len(clicks) == 6
    assert len({click["event_id"] for click in clicks}) == 3
    assert {click["session_id"] for click in clicks} == {"b1", "b2"}
    assert all(REPLAYED in record.headers for record in records(freshet, "clicks"))


def test_a_data_folder_that_is_a_file_gets_a_sentence(freshet: Freshet, events: Path) -> None:
    freshet.env["FRESHET_DATA_DIR"] = str(events)

    for command in (["topics"], ["replay", events], ["dead-letters", "list"]):
        outcome = freshet(*command)
        assert outcome.code != 0
        assert str(events) in outcome.err
        assert "Traceback" not in outcome.err


def test_a_replay_can_keep_the_pace_of_the_log(freshet: Freshet, events: Path) -> None:
    loop = asyncio.new_event_loop()
    started = loop.time()
    assert freshet("replay", events, "--speed", "10x").code == 0
    assert loop.time() - started >= 0.2  # two seconds of the log
    loop.close()


def test_a_column_that_is_not_there_is_one_sentence(freshet: Freshet, events: Path) -> None:
    outcome = freshet("replay", events, "--user-column", "customer")

    assert outcome.code == 1
    assert "customer" in outcome.err


def put_dead_letter(freshet: Freshet, value: bytes = b"{") -> None:
    """A refused product, still in its topic."""
    freshet("topics")

    async def put() -> None:
        settings = settings_of(freshet)
        log = EmbeddedLog.shared(settings.log_dir / "log.db")
        await log.start()
        at = await log.append(NewRecord("products", b"lamp", value))
        record = Record(at.topic, at.partition, at.offset, at.timestamp_ms, b"lamp", value, ())
        await log.append(dead_letter(record, "malformed-json", "The message is no JSON.", settings))
        await log.stop()

    asyncio.run(put())


def place_of(outcome: Outcome) -> str:
    line = next(line for line in outcome.out.splitlines() if "malformed-json" in line)
    return line.replace("│", " ").split()[0]


def test_dead_letters_are_listed_shown_and_sent_again(freshet: Freshet) -> None:
    put_dead_letter(freshet)
    place = place_of(freshet("dead-letters", "list", "--topic", "products"))

    shown = freshet("dead-letters", "show", place)
    assert json.loads(shown.out)["original"] == "{"
    assert "1 sent again" in freshet("dead-letters", "resend", place).out
    assert [record.value for record in records(freshet, "products")] == [b"{", b"{"]
    assert "No dead letters" in freshet("dead-letters", "list", "--reason", "too-large").out
    outcome = freshet("dead-letters", "resend", "0:999")
    assert outcome.code == 1
    assert "0:999" in outcome.err


def test_each_dead_letter_is_sent_again_once_however_often_one_asks(freshet: Freshet) -> None:
    freshet("topics")
    for number in range(3):
        put_dead_letter(freshet, b"{%d" % number)
    place = place_of(freshet("dead-letters", "list"))

    first, second = freshet("dead-letters", "resend", "--all"), freshet("dead-letters", "resend", "--all")
    assert "3 sent again" in first.out
    assert "0 sent again" in second.out
    assert "3 left out" in second.out
    assert len(records(freshet, "products")) == 6

    put_dead_letter(freshet, b"{new")
    assert "1 sent again" in freshet("dead-letters", "resend", "--topic", "products").out
    assert "4 sent again" in freshet("dead-letters", "resend", "--all", "--again").out
    assert "1 sent again" in freshet("dead-letters", "resend", place).out


@pytest.fixture
def holder(freshet: Freshet) -> Iterator["Holder"]:
    freshet("topics")
    holder = Holder(settings_of(freshet))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(holder.start(), loop).result(10)
        yield holder
        asyncio.run_coroutine_threadsafe(holder.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Holder:
    """Another Freshet, as far as the command sees it: holds the log, answers HTTP."""

    def __init__(self, settings: Settings) -> None:
        self.log = EmbeddedLog(settings.log_dir / "log.db")
        self.bodies: list[tuple[str, object, str | None]] = []
        self.replays: list[str | None] = []
        self.status = 202
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        await self.log.start()
        app = web.Application()
        app.router.add_post("/v1/{topic}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.log.announce(*self._runner.addresses[0][:2])

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.replays.append(request.headers.get("Freshet-Replay"))
        self.bodies.append((request.match_info["topic"], body, request.headers.get("X-API-Key")))
        if self.status != 202:
            return web.json_response({"detail": "no"}, status=self.status)
        return web.json_response({"accepted": len(body) - 1, "refused": [{"index": 0, "text": "no"}]}, status=202)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self.log.stop()


def test_while_a_freshet_holds_the_log_writes_go_through_its_api(freshet: Freshet, feed: Path, holder: Holder) -> None:
    freshet.env["FRESHET_API_KEYS"] = "reader:r,shop:s"
    outcome = freshet("import", feed)

    assert outcome.code == 0
    assert "1 products taken, 2 rows refused" in outcome.out
    ((topic, body, key),) = holder.bodies
    assert (topic, key) == ("products", "s")
    assert [product["item_id"] for product in body] == ["lamp", "shoe"]  # type: ignore[attr-defined]
    assert "row 1: no" in outcome.out


def test_a_replay_through_the_api_says_that_it_is_one(
    freshet: Freshet, events: Path, feed: Path, holder: Holder
) -> None:
    freshet("replay", events)
    freshet("import", feed)

    assert holder.replays == ["1", None]


def test_while_a_freshet_holds_the_log_reads_go_to_the_file(freshet: Freshet, holder: Holder) -> None:
    outcome = freshet("topics")

    assert outcome.code == 0
    assert "recommendations" in outcome.out
    assert freshet("dead-letters", "list").code == 0


@pytest.mark.parametrize(("status", "sentence"), [(401, "FRESHET_API_KEYS"), (503, "503")])
def test_a_holder_that_refuses_is_one_sentence(
    freshet: Freshet, events: Path, holder: Holder, status: int, sentence: str
) -> None:
    holder.status = status
    outcome = freshet("replay", events)

    assert outcome.code == 1
    assert sentence in outcome.err


@pytest.mark.slow  # the client tries for 20 s
def test_a_broker_that_is_not_there_is_one_sentence(freshet: Freshet) -> None:
    freshet.env["FRESHET_BROKER"] = "kafka://127.0.0.1:1"
    outcome = freshet("topics")

    assert outcome.code == 1
    assert len(outcome.err.strip().splitlines()) == 1
