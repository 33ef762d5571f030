"""No engine runs here, so what can be read is checked: schema, images, commands, ports, settings."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.access import Keys
from streams.settings import PREFIX, Settings
from tests.gateway.cli.command import Freshet
from tests.services import kafka

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def filled_in(text: object) -> str:
    """A value with the defaults of its variables."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", str(text))


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: filled_in(value) for name, value in service["environment"].items() if name.startswith(PREFIX)}


def test_it_fits_the_compose_schema() -> None:
    # The schema is all we want of this package; its command needs a newer click than faust allows.
    path = distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")
    schema = json.loads(Path(str(path)).read_text())

    errors = [error.message for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(COMPOSE)]
    assert not errors


def test_all_parts_are_there() -> None:
    assert {"kafka", "redis", "embed", "recommend", "trainer", "gateway"} <= SERVICES.keys()
    assert set(COMPOSE["volumes"]) == {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume[0] != "."
    }


def test_images_are_the_ones_that_the_tests_run() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka.VERSION}"
    assert SERVICES["redis"]["image"].startswith("redis:7")
    assert {service["image"] for service in OURS.values()} == {"freshet:0.1.0"}
    for image in (*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), SERVICES["keys"]["image"]):
        assert image == "python:3.11-slim-bookworm"


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str, tmp_path: Path) -> None:
    outcome = Freshet(tmp_path)(*OURS[name]["command"], "--help")

    assert outcome.code == 0, outcome.err
    assert 'ENTRYPOINT ["freshet"]' in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_of(OURS[name])
    assert {key.removeprefix(PREFIX).lower() for key in given} <= Settings.model_fields.keys()
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = Settings(api_keys=("shop:x",))

    assert settings.kafka_bootstrap == ["kafka:9092"]
    assert settings.redis == "redis://redis:6379/0"
    assert str(settings.data_dir) == "/data"
    assert OURS[name]["volumes"] == [f"{name}:/data"]
    Keys(settings)


@pytest.mark.parametrize("name", OURS)
def test_health_is_asked_where_it_is_answered(name: str) -> None:
    given = settings_of(OURS[name])
    command, port = OURS[name]["healthcheck"]["test"][1:]

    assert port == given["FRESHET_PORT" if name == "gateway" else "FRESHET_STATUS_PORT"]
    assert (ROOT / "deploy" / command).stat().st_mode & 0o111
    assert f"deploy/{command} /usr/local/bin/{command}" in DOCKERFILE


def test_published_ports_are_the_ones_listened_on_and_only_for_this_machine() -> None:
    published = {
        name: [filled_in(port).split(":") for port in service["ports"]]
        for name, service in SERVICES.items()
        if "ports" in service
    }
    listeners = SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"]

    assert {address for ports in published.values() for address, _, _ in ports} == {"127.0.0.1"}
    assert published["gateway"][0][2] == settings_of(SERVICES["gateway"])["FRESHET_PORT"]
    assert f"://:{published['kafka'][0][2]}" in listeners
    assert "://:9092" in listeners
    assert published["redis"][0][2] == "6379"


def test_everything_restarts_and_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        if "profiles" not in service:
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service, name


def test_the_example_names_settings_and_variables_that_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            name = line.partition("=")[0]
            is_setting = name.removeprefix(PREFIX).lower() in Settings.model_fields
            assert (name.startswith(PREFIX) and is_setting) or f"${{{name}:-" in text, name
    for name in re.findall(r"\$\{(\w+)", text):
        assert name in ("UID", "GID") or f"\n{name}=" in (ROOT / ".env.example").read_text()


def test_keys_are_made_once_and_are_good_ones(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    command = [sys.executable, str(ROOT / "deploy" / "make_env.py"), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    first = path.read_text()
    subprocess.run(command, check=True, capture_output=True)

    assert path.read_text() == first
    assert path.stat().st_mode & 0o077 == 0
    (keys,) = re.findall(r"^FRESHET_API_KEYS=(.+)$", first, re.MULTILINE)
    settings = Settings(host="0.0.0.0", api_keys=keys)
    assert [pair.split(":")[0] for pair in settings.api_keys] == ["shop", "reader", "admin"]
    assert len({pair.split(":")[1] for pair in settings.api_keys}) == 3
    Keys(settings)


def test_the_image_runs_as_a_normal_user_and_copies_what_is_there() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER freshet$", last, re.MULTILINE)
    for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    for name in re.findall(r"FRESHET_(\w+)=", DOCKERFILE):
        assert name.lower() in Settings.model_fields
