"""Evaluation from the command line: figures, JSON, lists; what a file without the columns gets."""

import json
from pathlib import Path

import pytest

from tests.gateway.cli.command import Freshet

N_USERS = 20


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Even users buy even items, odd users odd ones; everyone in the same order of time."""
    rows = ["user,item,ts"]
    for step in range(10):
        rows += [
            f"u{user},i{2 * ((step * 7 + user * 3) % 20) + user % 2},{1291192560 + step * 60 + user}"
            for user in range(N_USERS)
        ]
    path = tmp_path / "events.csv"
    path.write_text("\n".join(rows) + "\nu1,,1291193999\n")
    return path


def test_figures_as_a_table_and_as_json(freshet: Freshet, events: Path, tmp_path: Path) -> None:
    freshet.env["FRESHET_TRAIN_MIN_EVENTS"] = "50"
    path = tmp_path / "figures.json"
    outcome = freshet("evaluate", events, "--json", path)

    assert outcome.code == 0
    assert "decayed popularity" in outcome.out
    report = json.loads(path.read_text())
    assert (report["rows"], report["refused"]) == (200, 1)
    ours, theirs = report["figures"]["freshet"], report["figures"]["decayed popularity"]
    assert ours["events"] == theirs["events"] > 0
    assert 0 < ours["HR@10"] <= ours["HR@100"] <= 1
    assert ours["HR@10"] > theirs["HR@10"]  # popularity cannot tell even from odd


def test_json_on_standard_output_is_json_alone(freshet: Freshet, events: Path) -> None:
    outcome = freshet("evaluate", events, "--json", "-", "--limit", "30", "--measure-from", "10")

    assert json.loads(outcome.out)["figures"]["freshet"]["events"] <= 20


def test_the_lists_can_be_looked_at(freshet: Freshet, events: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,text\n" + "".join(f"i{n},thing {n}\n" for n in range(40)))
    path = tmp_path / "lists.jsonl"
    outcome = freshet("evaluate", events, "--items", items, "--dump", path, "--json", "-")

    lists = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lists) == json.loads(outcome.out)["figures"]["freshet"]["events"]
    assert {"row", "user", "item", "items"} == lists[0].keys()


def test_without_the_columns_it_says_which_there_are(freshet: Freshet, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("customer,sku,when\n1,2,3\n")
    outcome = freshet("evaluate", path)

    assert outcome.code == 1
    assert "customer, sku, when" in outcome.err
