"""Log lines are JSON, bounded, and name no person."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from streams.logs import LONGEST_FIELD, SILENCE_S, SaidLately, configure_logging
from streams.settings import Settings


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_says_when_who_how_bad_and_what(tmp_path: Path) -> None:
    output = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path), output)

    logging.getLogger("freshet.test").warning("%d clicks\nand a forged line", 3)

    (line,) = lines(output)
    assert (line["event"], line["level"], line["logger"]) == ("3 clicks\nand a forged line", "warning", "freshet.test")
    assert line["timestamp"].endswith("Z")


def test_a_person_appears_under_the_same_pseudonym_in_every_process_of_the_folder(tmp_path: Path) -> None:
    seen = []
    for folder in ("one", "one", "two"):
        output = io.StringIO()
        configure_logging(Settings(data_dir=tmp_path / folder), output)
        logging.getLogger("a").warning("hello", extra={"user_id": "ann@example.com"})
        assert "ann" not in output.getvalue()
        seen.append(lines(output)[0]["user_id"])

    assert seen[0] == seen[1] != seen[2]
    assert (tmp_path / "one" / "log.key").stat().st_mode & 0o077 == 0


def test_long_fields_are_cut(tmp_path: Path) -> None:
    output = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path), output)

    logging.getLogger("a").warning("x" * 100_000)

    assert len(lines(output)[0]["event"]) == LONGEST_FIELD + 1


def test_the_level_is_a_setting_and_libraries_stay_quiet(tmp_path: Path) -> None:
    output = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path, log_level="debug"), output)

    logging.getLogger("streams.a").debug("ours")
    logging.getLogger("faust.topics").info("the body of a message")

    assert [line["event"] for line in lines(output)] == ["ours"]


def test_an_error_carries_its_trace(tmp_path: Path) -> None:
    output = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path), output)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("a").exception("failed")

    assert "ValueError: broken" in lines(output)[0]["exception"]


def test_a_folder_that_cannot_be_written_stops_no_logging(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path / "file"), output)

    logging.getLogger("a").warning("hello", extra={"user_id": "ann"})

    assert lines(output)[0]["user_id"] != "ann"


def test_a_client_that_tries_a_broker_again_and_again_says_so_now_and_then() -> None:
    now_s = 0.0
    said = SaidLately(now=lambda: now_s)

    def passes(name: str, message: str) -> bool:
        return said.filter(logging.LogRecord(name, logging.ERROR, "", 0, message, (), None))

    tries = [passes("aiokafka", "Unable connect to node with id %s") for _ in range(100)]
    assert tries.count(True) == 1
    assert passes("aiokafka", "another thing")
    assert all(passes("streams.retry", "ours") for _ in range(3))
    now_s = SILENCE_S
    assert passes("aiokafka", "Unable connect to node with id %s")
