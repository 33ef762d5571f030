"""`freshet evaluate`: predict each event of a log from what came before it, then learn it."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from gateway.cli.evaluation_plot import check_plot, plot
from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.catalogue import Catalogue
    from recsys.evaluation.figures import Outcomes, Ranks
    from recsys.evaluation.learner import Freshet
    from recsys.evaluation.order import Protocol, Replay
    from recsys.events import Click
    from streams.event_files import ColumnNames
    from streams.settings import Settings

METHODS = ("popularity", "co-occurrence", "item-knn", "als", "als-fold-in", "als-recency", "als-retrained")
"""As `recsys.evaluation.baselines.BASELINES`, which a plain --help need not load."""


def evaluate_log(
    file: EventLog,
    novel: Annotated[
        bool,
        typer.Option(
            "--novel/--repeat",
            help="Only the first event of each user and item, ranked without what the user had; or all events, ranked "
            "among all items.",
        ),
    ] = True,
    basket: Annotated[
        bool, typer.Option("--basket", help="Predict all events of one user and time before any is learned.")
    ] = False,
    shuffle: Annotated[
        int | None,
        typer.Option("--shuffle", metavar="SEED", min=0, help="Put events of one user and time in random order."),
    ] = None,
    history: Annotated[
        float, typer.Option("--history", min=0.0, max=1.0, help="Share of the events that is only learned.")
    ] = 0.9,
    methods: Annotated[
        str,
        typer.Option(
            "--methods", metavar="NAMES", help=f"Baselines beside Freshet: all, none, or some of {', '.join(METHODS)}."
        ),
    ] = "popularity",
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            exists=True,
            dir_okay=False,
            help="The catalogue: a table with the item column, or a feed as `import` takes it, and its texts and "
            "categories count, too. Else an item exists from its first event on.",
        ),
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the figures as JSON; - for standard output.")
    ] = None,
    dump: Annotated[
        Path | None,
        typer.Option("--dump", dir_okay=False, help="Write the list that stood before each event, as JSON Lines."),
    ] = None,
    plot_to: Annotated[
        Path | None,
        typer.Option("--plot", dir_okay=False, help="Draw NDCG@10 over the replay, by method: .png, .svg or .pdf."),
    ] = None,
    limit: Limit = None,
    user_column: UserColumn = "user",
    item_column: ItemColumn = "item",
    time_column: TimeColumn = "ts",
    basket_column: BasketColumn = "basket",
    type_column: TypeColumn = "type",
    value_column: ValueColumn = "value",
) -> None:
    """Evaluate on an event log, test-then-learn, beside what there was before. Needs no broker."""
    from recsys.evaluation.order import Protocol, arrange
    from streams.event_files import ColumnNames
    from streams.settings import read_settings

    names = ColumnNames(user_column, item_column, time_column, basket_column, type_column, value_column)
    settings, chosen = read_settings(), _chosen(methods)
    check_plot(plot_to)
    clicks, n_refused = read_clicks(file, names, limit)
    protocol = Protocol(repeat=not novel, basket=basket, shuffle=shuffle, history=history)
    log = arrange(clicks, protocol)
    with _writing(dump) as out:
        ours = freshet(settings, protocol, *_catalogue(items, item_column, settings), log.n_history)
        found = _run(ours, log, protocol, chosen, out)
    if plot_to is not None:
        plot(plot_to, file.name, found[1])
    report = {"file": file.name, "rows": len(clicks), "refused": n_refused, "mode": _mode(protocol), **_report(*found)}
    if json_path == "-":
        typer.echo(json.dumps(report, indent=2))
        return
    if json_path:
        with _writing(Path(json_path)) as report_to:
            json.dump(report, report_to, indent=2)  # type: ignore[arg-type]
    _show(report)


def _chosen(methods: str) -> list[str]:
    """The baselines that were asked for."""
    if methods in ("all", "none"):
        return list(METHODS) if methods == "all" else []
    chosen = [name.strip() for name in methods.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise typer.BadParameter(f"--methods knows no {unknown[0]!r}; it knows {', '.join(METHODS)}, all and none")
    return chosen


def _mode(protocol: "Protocol") -> dict[str, Any]:
    return {
        "novel": not protocol.repeat,
        "basket": protocol.basket,
        "shuffle": protocol.shuffle,
        "history": protocol.history,
    }


def read_clicks(file: Path, names: "ColumnNames", limit: int | None) -> "tuple[list[Click], int]":
    """The log's events in the order of the file, and how many rows were refused."""
    from recsys.events import Click
    from streams.event_files import EventRow, read_event_log

    clicks, n_refused = [], 0
    for row in islice(read_event_log(file, names), limit):
        if not isinstance(row, EventRow):
            n_refused += 1
            continue
        clicks.append(
            Click(
                event_id=str(row.row),
                user_id=row.user_id,
                item_id=row.item_id,
                type=row.action,
                ts_ms=row.ts_ms,
                session_id=row.basket,
                value=row.value,
            )
        )
    return clicks, n_refused


def _catalogue(items: Path | None, item_column: str, settings: "Settings") -> "tuple[list[str], Catalogue | None]":
    """The ids of the items, and what else is known of them."""
    if items is None:
        return [], None
    from gateway.cli.evaluated_items import read_items
    from streams.event_files import read_column

    return read_column(items, item_column), read_items(items, settings)


def _run(
    ours: "Freshet", log: "Replay", protocol: "Protocol", chosen: Sequence[str], dump: TextIO | None
) -> "tuple[Outcomes, dict[str, Ranks]]":
    import threadpoolctl

    from gateway.cli.progress import counting
    from recsys.evaluation.baselines import BASELINES
    from recsys.evaluation.replay import replay
    from recsys.evaluation.world import World

    world = World(repeat=protocol.repeat)

    def on_event(number: int, click: "Click") -> None:
        line = {"n": number, "user": click.user_id, "item": click.item_id, "top": ours.last}
        print(json.dumps(line, ensure_ascii=False), file=dump)

    # One BLAS thread, as in the processes: sums run in one order, and small systems gain nothing from more.
    with threadpoolctl.threadpool_limits(1), counting("Events", log.n_events) as advance:
        return replay(
            log,
            world,
            [ours, *(BASELINES[name](world) for name in chosen)],
            clock=time.perf_counter,
            on_event=on_event if dump is not None else None,
            advance=advance,
        )


def freshet(
    settings: "Settings",
    protocol: "Protocol",
    item_ids: list[str],
    catalogue: "Catalogue | None" = None,
    n_history: int = 0,
) -> "Freshet":
    """The recommender with the policy of the settings."""
    from recsys.als.fit import FitPolicy
    from recsys.evaluation.learner import freshet as recommender
    from recsys.evaluation.learner import policy_for
    from recsys.item_table import ItemTable
    from streams.policy import recommend_policy

    return recommender(
        policy_for(recommend_policy(settings), repeat=protocol.repeat),
        FitPolicy(n_factors=settings.train_factors),
        ItemTable(item_ids),
        fit_at=settings.train_min_events,
        n_history=n_history,
        closed=bool(item_ids),
        catalogue=catalogue,
    )


@contextmanager
def _writing(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        out = path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
    with out:
        yield out


def _report(outcomes: "Outcomes", ranks: "dict[str, Ranks]") -> dict[str, Any]:
    """Figures by method: of all events, by group, with intervals, and what a list and an event cost."""
    from recsys.evaluation.figures import METRICS, SLOW_US, Bootstrap, column, table

    tables = {name: table(outcomes, of_method) for name, of_method in ranks.items()}
    report: dict[str, Any] = {
        "events": len(outcomes.users),
        "figures": {name: found["all"] for name, found in tables.items()},
        "groups": tables,
        "speed": {
            name: {
                "us_per_list": round(of_method.us_per_list, 1),
                "events_per_s": round(of_method.events_per_s),
                "is_slow": of_method.us_per_list > SLOW_US,
            }
            for name, of_method in ranks.items()
        },
    }
    if outcomes.users:
        bootstrap = Bootstrap(outcomes.users)
        columns = {name: {metric: column(found.ranks, metric) for metric in METRICS} for name, found in ranks.items()}
        report["intervals"] = {
            name: {metric: bootstrap.interval(values) for metric, values in of_method.items()}
            for name, of_method in columns.items()
        }
        ours = columns["freshet"]
        report["gain"] = {
            name: {
                metric: {
                    "mean": float((ours[metric] - values).mean()),
                    "interval": bootstrap.interval(ours[metric] - values),
                }
                for metric, values in of_method.items()
            }
            for name, of_method in columns.items()
            if name != "freshet"
        }
    return report


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    metrics = ("HR@10", "NDCG@10", "HR@100", "NDCG@100")
    console = Console()
    for group in ("all", "known", "new user", "new item"):
        rows = {name: groups[group] for name, groups in report["groups"].items()}
        if not any(row["events"] for row in rows.values()) or group == "new item":
            continue
        n_events = int(next(iter(rows.values()))["events"])
        table = Table(f"{group}: {n_events} events", *metrics, "µs/list", "events/s")
        for name, row in rows.items():
            speed = report["speed"][name]
            mark = " (slow)" if speed["is_slow"] else ""
            figures = (f"{row[metric]:.4f}" for metric in metrics)
            table.add_row(name, *figures, f"{speed['us_per_list']:.0f}{mark}", f"{speed['events_per_s']:,}")
        console.print(table)
    console.print(f"{report['rows']} events, {report['events']} of them measured, {report['refused']} rows refused.")
    new_items = int(report["groups"]["freshet"]["new item"]["events"])
    console.print(f"{new_items} events are of items that nobody had before: a miss for every method.")
    for name, gains in report.get("gain", {}).items():
        gain = gains["HR@10"]
        low, high = gain["interval"]
        console.print(f"HR@10 over {name}: {gain['mean']:+.4f} ({low:+.4f} to {high:+.4f}, 95 %, by users).")
