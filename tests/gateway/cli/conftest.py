"""The command for a test, in a folder of its own."""

from pathlib import Path

import pytest

from tests.gateway.cli.command import Freshet


@pytest.fixture
def freshet(tmp_path: Path) -> Freshet:
    return Freshet(tmp_path)
