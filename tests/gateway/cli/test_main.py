"""Help is complete and quick, mistakes get one sentence."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.cli.command import Freshet

ROOT = Path(__file__).parents[3]
COMMANDS = {
    "demo": ["--empty", "--exit-after", "--no-supervise"],
    "worker": ["--role", "embed", "recommend", "all", "--no-supervise"],
    "gateway": ["--no-supervise"],
    "trainer": ["--no-supervise"],
    "topics": [],
    "import": ["FILE", "--report"],
    "replay": ["FILE", "--speed", "--user-column", "--item-column", "--time-column", "--basket-column"],
    "evaluate": ["FILE", "--items", "--json", "--dump", "--type-column", "--value-column"],
    "dead-letters": ["list", "show", "resend"],
    "doctor": [],
}


def test_help_names_every_command(freshet: Freshet) -> None:
    outcome = freshet("--help")

    assert outcome.code == 0
    assert not [name for name in COMMANDS if name not in outcome.out]


@pytest.mark.parametrize(("name", "words"), COMMANDS.items())
def test_each_command_explains_itself_and_its_options(freshet: Freshet, name: str, words: list[str]) -> None:
    outcome = freshet(name, "--help")

    assert outcome.code == 0
    assert not [word for word in words if word.lower() not in outcome.out.lower()]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, gateway.cli.main; print([m for m in ('torch', 'faust', 'numpy', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_takes_less_than_a_second_of_computing() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "gateway.cli.main", "--help"], cwd=ROOT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    "args",
    [
        ("sell",),
        ("worker", "--role", "cook"),
        ("demo", "--exit-after", "soon"),
        ("import",),
        ("import", "no-such-file.csv"),
        ("replay", __file__, "--speed", "fast"),
        ("dead-letters", "show", "here"),
        ("dead-letters", "resend"),
    ],
)
def test_wrong_usage_is_code_2_and_no_traceback(freshet: Freshet, args: tuple[str, ...]) -> None:
    outcome = freshet(*args)

    assert outcome.code == 2
    assert outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"FRESHET_TOPK": "3"}, "FRESHET_TOPK names no setting"),
        ({"FRESHET_BROKER": "rabbit://host"}, "FRESHET_BROKER"),
        ({"FRESHET_PARTITIONS": "many"}, "FRESHET_PARTITIONS"),
        ({"FRESHET_CONFIG": "/no/such.toml"}, "/no/such.toml"),
        ({"FRESHET_CONFIG": sys.executable}, "cannot be read"),
        ({"FRESHET_WEIGHT_CLICK": "nan"}, "FRESHET_WEIGHT_CLICK"),
        ({"FRESHET_WEIGHT_VIEW": "1e308"}, "FRESHET_WEIGHT_VIEW"),
    ],
)
@pytest.mark.parametrize("command", ["topics", "worker", "doctor"])
def test_a_wrong_setting_is_one_sentence_and_code_1(
    freshet: Freshet, env: dict[str, str], sentence: str, command: str
) -> None:
    freshet.env.update(env)
    outcome = freshet(command)

    assert outcome.code == 1
    assert sentence.lower() in outcome.err.lower()
    assert len(outcome.err.strip().splitlines()) == 1


def test_version(freshet: Freshet) -> None:
    assert freshet("--version").out.startswith("freshet 0.")


def test_a_missing_certificate_is_one_sentence(freshet: Freshet) -> None:
    secure = {"FRESHET_KAFKA_SECURITY": "ssl", "FRESHET_KAFKA_CA": "/no/ca"}
    freshet.env.update({"FRESHET_BROKER": "kafka://127.0.0.1:1", **secure})

    outcome = freshet("topics")
    assert (outcome.code, len(outcome.err.strip().splitlines())) == (1, 1)
    assert "FRESHET_KAFKA_CA" in outcome.err
