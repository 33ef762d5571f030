"""The doctor finds each fault, says what to do, and goes on to the next."""

from pathlib import Path

import pytest

from gateway.cli.doctor import examine
from streams.settings import Settings
from tests.gateway.cli.command import Freshet

QUICK = {"FRESHET_TEXT_ENCODER": "none", "FRESHET_IMAGE_ENCODER": "none"}


def test_a_sound_machine_is_told_so(freshet: Freshet) -> None:
    outcome = freshet("doctor")

    assert outcome.code == 0, outcome.out
    assert "✗" not in outcome.out
    for what in ("versions", "data folder", "broker and topics", "redis", "weights", "device", "access"):
        assert what in outcome.out


def test_a_log_that_stands_and_that_nobody_holds_is_fine(freshet: Freshet) -> None:
    freshet.env.update(QUICK)
    assert freshet("topics").code == 0

    outcome = freshet("doctor")

    assert outcome.code == 0, outcome.out
    assert "topics are right" in outcome.out


@pytest.mark.parametrize(
    ("env", "remedy"),
    [
        ({"FRESHET_REDIS": "redis://127.0.0.1:1"}, "FRESHET_REDIS"),
        ({"FRESHET_DATA_DIR": "/proc/freshet"}, "FRESHET_DATA_DIR"),
        ({"FRESHET_DEVICE": "cuda:7"}, "FRESHET_DEVICE"),
        ({"FRESHET_HOST": "0.0.0.0"}, "FRESHET_API_KEYS"),
        ({"FRESHET_TEXT_ENCODER": "no.such.Encoder"}, "FRESHET_TEXT_ENCODER"),
        (
            {"FRESHET_IMAGE_HOSTS": "10.0.0.0/8,localhost,https://localhost"},
            "names https://localhost, which is neither",
        ),
        ({"FRESHET_IMAGE_HOSTS": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"FRESHET_MEDIA_DIR": "/no/such/folder"}, "FRESHET_MEDIA_DIR"),
    ],
)
def test_each_fault_gets_its_remedy(freshet: Freshet, env: dict[str, str], remedy: str) -> None:
    freshet.env.update({**QUICK, **env})
    outcome = freshet("doctor")

    assert outcome.code == 1
    faults = [line for line in outcome.out.splitlines() if line.startswith("✗")]
    assert len(faults) == 1, outcome.out
    assert remedy in faults[0]


async def test_topics_of_the_wrong_shape_are_found(freshet: Freshet, tmp_path: Path) -> None:
    import asyncio

    await asyncio.to_thread(freshet, "topics")
    settings = Settings(data_dir=tmp_path / "data", partitions=3, text_encoder="none", image_encoder="none")

    (fault,) = [finding for finding in await examine(settings) if not finding.is_fine]
    assert fault.what == "broker and topics"
    assert "FRESHET_PARTITIONS" in fault.text
