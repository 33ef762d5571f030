"""Runs `freshet` as a shell does, without a new process: arguments in, exit code and output out."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from gateway.cli.main import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Freshet:
    """The command in a folder of its own; `env` holds settings."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.env = {"FRESHET_DATA_DIR": str(folder / "data"), "COLUMNS": "400", **(env or {})}

    def __call__(self, *args: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with _surroundings(self.env, ["freshet", *map(str, args)]), redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(bool(end.code))
        return Outcome(code, out.getvalue(), err.getvalue())


@contextmanager
def _surroundings(env: Mapping[str, str], argv: list[str]) -> Iterator[None]:
    before, argv_before = dict(os.environ), sys.argv
    os.environ.update(env)
    sys.argv = argv
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.argv = argv_before
