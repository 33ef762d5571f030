"""Evaluation from the command line: figures, JSON, lists; what a file without the columns gets."""

import json
from pathlib import Path

import pytest

from gateway.cli.evaluate import METHODS
from recsys.evaluation.baselines import BASELINES
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
    outcome = freshet("evaluate", events, "--history", "0.5", "--json", path)

    assert outcome.code == 0
    assert "decayed popularity" in outcome.out
    report = json.loads(path.read_text())
    assert (report["rows"], report["refused"]) == (200, 1)
    assert report["mode"] == {"novel": True, "basket": False, "shuffle": None, "history": 0.5}
    ours, theirs = report["figures"]["freshet"], report["figures"]["decayed popularity"]
    assert ours["events"] == theirs["events"] == report["events"] > 0
    assert 0 < ours["HR@10"] <= ours["HR@100"] <= 1
    assert ours["HR@10"] > theirs["HR@10"]  # popularity cannot tell even from odd
    low, high = report["intervals"]["freshet"]["HR@10"]
    assert low <= ours["HR@10"] <= high
    assert report["gain"]["decayed popularity"]["HR@10"]["mean"] > 0
    groups = report["groups"]["freshet"]
    assert sum(groups[group]["events"] for group in ("known", "new user", "new item")) == ours["events"]


def test_json_on_standard_output_is_json_alone(freshet: Freshet, events: Path) -> None:
    outcome = freshet("evaluate", events, "--json", "-", "--limit", "30", "--methods", "none")

    assert json.loads(outcome.out)["figures"].keys() == {"freshet"}


def test_baselines_run_in_the_same_pass(freshet: Freshet, events: Path) -> None:
    outcome = freshet("evaluate", events, "--json", "-", "--methods", "all", "--history", "0.6")

    figures = json.loads(outcome.out)["figures"]
    assert len(figures) == 1 + len(METHODS)
    assert len({of_method["events"] for of_method in figures.values()}) == 1


def test_a_method_that_is_not_there_is_named(freshet: Freshet, events: Path) -> None:
    outcome = freshet("evaluate", events, "--methods", "popularity,magic")

    assert outcome.code == 2
    assert "magic" in outcome.err


def test_modes_change_what_is_measured(freshet: Freshet, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = [f"u{n % 5},i{n % 7},{1291192560 + 60 * (n // 3)}" for n in range(100)]
    log.write_text("\n".join(["user,item,ts", *rows]))

    def measured(*options: str) -> int:
        report = json.loads(freshet("evaluate", log, "--json", "-", "--history", "0", *options).out)
        return int(report["events"])

    assert measured() == measured("--novel", "--basket") == measured("--shuffle", "3") == 35
    assert measured("--repeat") == measured("--repeat", "--basket") == 100


def test_the_lists_can_be_looked_at(freshet: Freshet, events: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,text\n" + "".join(f"i{n},thing {n}\n" for n in range(40)))
    path = tmp_path / "lists.jsonl"
    outcome = freshet("evaluate", events, "--items", items, "--dump", path, "--json", "-")

    lists = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lists) == json.loads(outcome.out)["events"]
    assert [one["n"] for one in lists] == list(range(len(lists)))
    assert {"n", "user", "item", "top"} == lists[0].keys()
    assert 0 < len(lists[0]["top"]) <= 100
    assert set(lists[0]["top"]) <= {f"i{n}" for n in range(40)}


def test_a_catalogue_may_be_json_lines(freshet: Freshet, events: Path, tmp_path: Path) -> None:
    items, lists = tmp_path / "items.jsonl", tmp_path / "lists.jsonl"
    items.write_text("".join(f'{{"item": "i{n}"}}\n' for n in range(10)) + "{broken\n")
    outcome = freshet("evaluate", events, "--items", items, "--dump", lists, "--json", "-")

    assert outcome.code == 0
    named = {item for line in lists.read_text().splitlines() for item in json.loads(line)["top"]}
    assert named <= {f"i{n}" for n in range(10)}


def test_without_the_columns_it_says_which_there_are(freshet: Freshet, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("customer,sku,when\n1,2,3\n")
    outcome = freshet("evaluate", path)

    assert outcome.code == 1
    assert "customer, sku, when" in outcome.err


def test_the_command_knows_all_baselines() -> None:
    assert tuple(BASELINES) == METHODS


def test_a_plot_shows_every_method_over_the_replay(freshet: Freshet, events: Path, tmp_path: Path) -> None:
    picture = tmp_path / "ndcg.svg"
    outcome = freshet("evaluate", events, "--history", "0", "--plot", picture, "--methods", "popularity")

    assert outcome.code == 0
    drawn = picture.read_text()
    assert "<svg" in drawn
    assert drawn.count("<!-- freshet: 0") == drawn.count("<!-- decayed popularity: 0") == 1  # the legend's texts


@pytest.mark.parametrize("name", ["ndcg.bmp", "ndcg"])
def test_a_plot_of_an_unknown_format_is_refused_at_once(
    freshet: Freshet, events: Path, tmp_path: Path, name: str
) -> None:
    outcome = freshet("evaluate", events, "--plot", tmp_path / name)

    assert outcome.code == 1
    assert ".svg" in outcome.err
