"""All commands; an error of ours is one sentence on standard error and exit code 1."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from gateway.cli import (
    dead_letters,
    demo,
    doctor,
    duplicates,
    evaluate,
    evaluate_search,
    experiments,
    gateway,
    import_feed,
    models,
    rebuild,
    replay,
    topics,
    train,
    trainer,
    verify,
    worker,
)
from gateway.cli.start import INTERRUPTED
from recsys.errors import RecsysError

app = typer.Typer(
    name="freshet",
    help="Fresh, personal recommendations and multimodal search from a shop's events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Settings are environment variables with the prefix FRESHET_: docs/settings.md lists them all.",
)

app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.command("gateway")(gateway.gateway)
app.command("trainer")(trainer.trainer)
app.command("topics")(topics.topics)
app.command("import")(import_feed.import_feed)
app.command("replay")(replay.replay)
app.command("evaluate")(evaluate.evaluate_log)
app.command("evaluate-search")(evaluate_search.evaluate_search)
app.command("duplicates")(duplicates.duplicates)
app.add_typer(train.app, name="train")
app.command("verify")(verify.verify)
app.add_typer(rebuild.app, name="rebuild")
app.add_typer(models.app, name="models")
app.command("experiments")(experiments.experiments)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("doctor")(doctor.doctor)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"freshet {version('freshet')}")
        raise typer.Exit


@app.callback()
def freshet(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fresh, personal recommendations and multimodal search from a shop's events."""


def main() -> None:
    """Run the command line; exit codes: 0 fine, 1 a fault at run time, 2 wrong usage, 130 cut short by Ctrl-C."""
    try:
        app()
    except BaseExceptionGroup as group:  # a task group wraps what one of its tasks raised
        ours, others = group.split(RecsysError)
        if others is not None or ours is None:
            raise
        _end_with(next(iter(leaves(ours))))
    except RecsysError as error:
        _end_with(error)
    except Exception as error:
        if not _is_interrupt(error):
            raise
        sys.exit(INTERRUPTED)


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The plain errors in a group of errors."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: libraries that are being loaded make ImportErrors and the like of it."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


def _end_with(error: BaseException) -> None:
    typer.echo(f"freshet: {error}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
