"""`freshet evaluate`: predict each event of a log from the list that stands before it, then learn it."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from gateway.cli.columns import (
    BasketColumn,
    EventLog,
    ItemColumn,
    Limit,
    TimeColumn,
    TypeColumn,
    UserColumn,
    ValueColumn,
)
from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.evaluate import Evaluation, Learner
    from recsys.events import Click
    from recsys.rank import Ranked
    from streams.event_files import ColumnNames
    from streams.settings import Settings

FIT_GROWTH = 1.5
"""The factors are fitted anew each time the log has grown by this factor, as the trainer does while it is young."""


def evaluate_log(
    file: EventLog,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            exists=True,
            dir_okay=False,
            help="The catalogue, a table with the item column; else an item exists from its first event on.",
        ),
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the figures as JSON; - for standard output.")
    ] = None,
    dump: Annotated[
        Path | None, typer.Option("--dump", dir_okay=False, help="Write every list that was made, as JSON Lines.")
    ] = None,
    measure_from: Annotated[int, typer.Option("--measure-from", min=0, help="Only learn so many events first.")] = 0,
    limit: Limit = None,
    user_column: UserColumn = "user",
    item_column: ItemColumn = "item",
    time_column: TimeColumn = "ts",
    basket_column: BasketColumn = "basket",
    type_column: TypeColumn = "type",
    value_column: ValueColumn = "value",
) -> None:
    """Evaluate on an event log, beside decayed popularity. Needs no broker; a basket is predicted as a whole."""
    from streams.event_files import ColumnNames
    from streams.settings import read_settings

    names = ColumnNames(user_column, item_column, time_column, basket_column, type_column, value_column)
    settings = read_settings()
    pairs, n_refused = _read(file, names, limit)
    dump_to = _open(dump) if dump else None
    try:
        evaluation = _evaluate(settings, pairs, _catalogue(items, item_column), measure_from, dump_to)
    finally:
        if dump_to is not None:
            dump_to.close()
    report = {"file": file.name, "rows": len(pairs), "refused": n_refused, **_figures(evaluation)}
    if json_path == "-":
        typer.echo(json.dumps(report, indent=2))
        return
    if json_path:
        with _open(Path(json_path)) as out:
            json.dump(report, out, indent=2)
    _show(report)


def _read(file: Path, names: "ColumnNames", limit: int | None) -> "tuple[list[tuple[str, Click]], int]":
    """The log's events by time, each with its basket's name, and how many rows were refused."""
    from recsys.events import Click
    from streams.event_files import EventRow, read_event_log

    pairs, n_refused = [], 0
    for row in islice(read_event_log(file, names), limit):
        if not isinstance(row, EventRow):
            n_refused += 1
            continue
        click = Click(
            event_id=str(row.row),
            user_id=row.user_id,
            item_id=row.item_id,
            type=row.action,
            ts_ms=row.ts_ms,
            session_id=row.basket,
            value=row.value,
        )
        pairs.append((row.basket, click))
    pairs.sort(key=lambda pair: (pair[1].ts_ms, pair[0]))
    return pairs, n_refused


def _catalogue(items: Path | None, item_column: str) -> list[str]:
    """The ids of a table of items."""
    if items is None:
        return []
    from recsys.errors import EventError
    from streams.text_files import open_text, read_table

    with open_text(items) as text:
        header, rows = read_table(text, items)
        if item_column not in header:
            raise ConfigError(f"{items} has no column {item_column!r}; it has {', '.join(header)}.")
        column = header.index(item_column)
        return [row[column] for row in rows if not isinstance(row, EventError) and row[column]]


def _evaluate(
    settings: "Settings",
    pairs: "Sequence[tuple[str, Click]]",
    item_ids: list[str],
    measure_from: int,
    dump: TextIO | None,
) -> "Evaluation":
    from gateway.cli.progress import counting
    from recsys.als.interactions import Interactions
    from recsys.evaluate import Learner, baskets, evaluate
    from recsys.item_table import ItemTable
    from streams.policy import recommend_policy

    policy = recommend_policy(settings)
    learner = Learner(policy, ItemTable(item_ids))
    learned = Interactions(settings.history_size)
    next_fit = [float(settings.train_min_events)]

    def is_fit_due(n_events: int) -> bool:
        if n_events < next_fit[0]:
            return False
        next_fit[0] *= FIT_GROWTH
        return True

    with counting("Events", len(pairs)) as advance:

        def groups() -> "Iterator[list[Click]]":
            for basket in baskets(pairs):
                for click in basket:  # the fit is asked for only after the basket was predicted and learned
                    learned.apply(click)
                yield basket
                advance(len(basket))

        return evaluate(
            learner,
            groups(),
            measure_from=measure_from,
            fit=_fitter(settings, learner, learned),
            fit_at=is_fit_due,
            open_catalogue=not item_ids,
            on_list=_dumper(dump) if dump else None,
        )


def _fitter(settings: "Settings", learner: "Learner", learned: Any) -> Callable[[], Any]:
    from recsys.als.fit import FitPolicy
    from recsys.als.model import FactorModel
    from recsys.als.training import TrainingInput, train

    def fit() -> FactorModel | None:
        previous = learner.factors if isinstance(learner.factors, FactorModel) else None
        now_ms = learner.counts.watermark_ms
        given = TrainingInput(learned.arrays(), {}, now_ms, previous)
        factors = train(given, learner.policy.confidence, FitPolicy(n_factors=settings.train_factors))
        return previous if factors is None else FactorModel(factors)

    return fit


def _dumper(out: TextIO) -> "Callable[[Click, Ranked], None]":
    def dump(click: "Click", ranked: "Ranked") -> None:
        items = [[item.item_id, round(float(item.score), 6)] for item in ranked.items]
        line = {"row": int(click.event_id), "user": click.user_id, "item": click.item_id, "items": items}
        print(json.dumps(line, ensure_ascii=False), file=out)

    return dump


def _figures(evaluation: "Evaluation") -> dict[str, Any]:
    import numpy as np

    from recsys.metrics import hit, paired_bootstrap

    figures: dict[str, Any] = {"figures": evaluation.figures()}
    if evaluation.outcomes:
        ours, theirs = (evaluation.column(hit, 10, ours=is_ours) for is_ours in (True, False))
        gain = paired_bootstrap(ours, theirs, rng=np.random.default_rng(0))
        figures["HR@10 gain over popularity"] = {"mean": gain.mean, "low": gain.low, "high": gain.high}
    return figures


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    figures: dict[str, dict[str, float]] = report["figures"]
    columns = [name for name in next(iter(figures.values())) if name != "events"]
    table = Table("", *columns)
    for name, row in figures.items():
        table.add_row(name, *(f"{row[column]:.4f}" for column in columns))
    console = Console()
    console.print(table)
    measured = int(next(iter(figures.values()))["events"])
    console.print(f"{report['rows']} events, {measured} of them measured, {report['refused']} rows refused.")
    if gain := report.get("HR@10 gain over popularity"):
        console.print(f"HR@10 over popularity: {gain['mean']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f}, 95 %).")


def _open(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
