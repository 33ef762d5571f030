"""`docs/settings.md` from the settings class: `python -m streams.settings_page`."""

import ast
import inspect
from pathlib import Path
from typing import get_args

from pydantic_core import PydanticUndefined

from recsys.events import Action
from streams.settings import PREFIX, Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = f"""# Settings

Environment variables with the prefix `{PREFIX}`, or a TOML file named by `{PREFIX}CONFIG` with the same names in lower
case and without the prefix; the environment wins. An empty variable counts as unset. A variable with the prefix that
names no setting stops the start, so that a misspelt one cannot go unnoticed.

This page is made from `streams/settings.py` by `make schemas`.

"""


def settings_page() -> str:
    """The page as it should be."""
    texts = _texts()
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        if not name.startswith(("weight_", "seen_")):
            choices = ", ".join(f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str))
            meaning = f"{texts[name]} One of {choices}." if choices else texts[name]
            rows.append(f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} | {meaning} |")
    kinds = [
        "",
        "## What an interaction counts",
        "",
        f"`{PREFIX}WEIGHT_<KIND>`: {texts['weight_impression']} "
        f"`{PREFIX}SEEN_<KIND>`: {texts['seen_impression'][0].lower()}{texts['seen_impression'][1:]}",
        "",
        "| kind | weight | seen |",
        "| --- | --- | --- |",
    ]
    for action in Action:
        weight, seen = (Settings.model_fields[f"{part}_{action.value}"].default for part in ("weight", "seen"))
        kinds.append(f"| `{action.value.upper()}` | {_shown(weight)} | {_shown(seen)} |")
    return HEAD + "\n".join([*rows, *kinds]) + "\n"


def _shown(default: object) -> str:
    if default is PydanticUndefined or default is None:
        return "none"
    if default in ("", ()):
        return "empty"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _texts() -> dict[str, str]:
    """What stands below each field in the class."""
    (tree,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            assert isinstance(statement.target, ast.Name)
            assert isinstance(following.value, ast.Constant)
            texts[statement.target.id] = inspect.cleandoc(str(following.value.value)).replace("\n", " ")
    return texts


if __name__ == "__main__":
    PAGE.write_text(settings_page())
