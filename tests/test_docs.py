"""What the docs name exists: commands, make targets, settings, topics, files."""

import re
from pathlib import Path

import pytest
import typer.main

from gateway.cli.main import app
from streams.settings import PREFIX, Settings
from streams.settings_page import PAGE, settings_page
from streams.topics import all_topics

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
MAKEFILE = (ROOT / "Makefile").read_text()
CONTRACT_TOPICS = (
    *("products", "clicks", "activities", "campaigns", "erasures", "recommendations", "feed", "dead-letters"),
    *("served", "catalog", "item-factors", "models", "trends"),
)


def code_of(text: str) -> str:
    """What stands in code spans and code blocks."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    blocks = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"^ {4}(.+)$", text, flags=re.MULTILINE)
    return "\n".join([*spans, *blocks, *indented])


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_exist(page: str) -> None:
    command = typer.main.get_command(app)
    known = set(command.commands)  # type: ignore[attr-defined]
    options = {
        name: {option for parameter in sub.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, sub in command.commands.items()  # type: ignore[attr-defined]
    }
    for name, rest in re.findall(r"(?:^|[\s/])freshet ([a-z][a-z-]*)([^\n#|]*)", code_of(PAGES[page]), re.MULTILINE):
        assert name in known, f"{page} names `freshet {name}`"
        if name != "dead-letters":
            for option in re.findall(r"\s(--[a-z-]+)", rest):
                assert option in options[name], f"{page} names `freshet {name} {option}`"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_on_a_page_exist(page: str) -> None:
    for target in re.findall(r"(?:^|\s)make ([a-z-]+)", code_of(PAGES[page]), re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{page} names `make {target}`"


def test_the_contracts_make_targets_are_there() -> None:
    for target in ("demo", "test", "check", "bench", "bench-quality", "bench-search", "chaos", "lock", "schemas"):
        assert re.search(rf"^{target}:.*##", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES)
def test_settings_on_a_page_exist(page: str) -> None:
    for name in re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", PAGES[page]):
        if not name.startswith(("WEIGHT", "SEEN")):
            assert name.lower() in Settings.model_fields, f"{page} names {PREFIX}{name}"


def test_the_page_of_settings_is_the_one_the_class_makes() -> None:
    assert PAGE.read_text() == settings_page(), "run `make schemas`"


def test_every_topic_is_described_on_the_page_of_events() -> None:
    text = PAGES["docs/events.md"]
    names = {spec.name for spec in all_topics(Settings())}

    assert set(CONTRACT_TOPICS) <= names
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    folders = "recsys|encoders|streams|gateway|tests|docs|benchmarks|deploy|\\.ci"
    for path in re.findall(rf"(?<![\w/.-])((?:{folders})/[\w./-]*[\w/])", PAGES[page]):
        assert (ROOT / path).exists(), f"{page} names {path}"
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
