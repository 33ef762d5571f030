"""`freshet experiments`: what came of each variant, from users' choices against the lists that stood before them."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recsys.experiments import Rate, Summary
    from streams.experiments import Outcomes
    from streams.settings import Settings


def experiments(
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on standard output.")] = False,
) -> None:
    """Print how often each variant's lists held what their users chose next, with 95 % intervals over users.

    A choice counts against the ten first of the list that was made of the user's clicks before it; lists of the last 30
    days, from the topic `served`.
    """
    from streams.settings import read_settings

    outcomes = asyncio.run(_read(read_settings()))
    by_experiment = _summed(outcomes)
    if as_json:
        import json

        typer.echo(json.dumps(_as_json(by_experiment), indent=2))
    elif by_experiment:
        _show(by_experiment)
    else:
        typer.echo("No list has named a variant in the last 30 days: FRESHET_EXPERIMENT says which there are.")


async def _read(settings: "Settings") -> "Outcomes":
    from gateway.cli.doors import open_for_reading
    from streams.experiments import read_outcomes
    from streams.policy import recommend_policy

    async with open_for_reading(settings) as log:
        return await read_outcomes(log, settings, recommend_policy(settings).confidence)


def _summed(outcomes: "Outcomes") -> "dict[str, dict[str, Summary]]":
    """By experiment and variant, in the order of their names."""
    from recsys.experiments import summary

    found: dict[str, dict[str, Summary]] = {}
    for named in sorted(outcomes):
        experiment, _, variant = named.partition(":")
        found.setdefault(experiment, {})[variant] = summary(outcomes[named])
    return found


def _as_json(by_experiment: "dict[str, dict[str, Summary]]") -> dict[str, Any]:
    def rate(of: "Rate") -> dict[str, Any] | None:
        return {"value": of.value, "interval": of.interval} if of.error == of.error else None

    return {
        experiment: {
            name: {
                "users": one.users,
                "choices": one.choices,
                "hits": one.hits,
                "hit_rate": rate(one.hit_rate),
                "bought_per_user": rate(one.bought),
            }
            for name, one in variants.items()
        }
        for experiment, variants in by_experiment.items()
    }


def _show(by_experiment: "dict[str, dict[str, Summary]]") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    for experiment, variants in by_experiment.items():
        first, base = next(iter(variants.items()))
        numbers = [Column(name, justify="right") for name in ("users", "choices", "foretold")]
        table = Table("variant", *numbers, "rate (95 %)", f"over {first}", "bought a user (95 %)", title=experiment)
        for name, one in variants.items():
            over = "" if name == first else _shown(one.hit_rate.over(base.hit_rate), signed=True)
            counts = (f"{count:,}" for count in (one.users, one.choices, one.hits))
            table.add_row(name, *counts, _shown(one.hit_rate), over, _shown(one.bought))
        Console().print(table)


def _shown(rate: "Rate", *, signed: bool = False) -> str:
    if rate.value != rate.value:
        return "none yet"
    low, high = rate.interval
    form = "+.4f" if signed else ".4f"
    return f"{rate.value:{form}}" + ("" if low != low else f" ({low:{form}} to {high:{form}})")
