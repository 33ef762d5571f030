"""What is wrong with a setting is said by the name that it has where it stands."""

from pathlib import Path

import pytest

from recsys.errors import ConfigError
from streams.settings import read_settings


def refusal(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = folder / "shop.toml"
    file.write_text(text)
    monkeypatch.setenv("FRESHET_CONFIG", str(file))
    with pytest.raises(ConfigError) as refused:
        read_settings()
    return str(refused.value).replace(str(file), "shop.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "prot in shop.toml names no setting of Freshet; docs/settings.md has those there are."),
        ("FRESHET_PORT = 1", "FRESHET_PORT in shop.toml names no setting of Freshet; write port."),
        ("data-dir = 'x'", "data-dir in shop.toml names no setting of Freshet; write data_dir."),
        ("partitions = 0", "partitions in shop.toml: Input should be greater than or equal to 1."),
        (
            '[[list_rules]]\nrule = "pin"\nitem = "a"',
            "list_rules in shop.toml: Object contains unknown field `item` - at `$[0]`.",
        ),
        ("[redis]\nurl = 'x'", "redis in shop.toml: Input should be a valid string."),
    ],
)
def test_a_key_of_the_file_is_named_as_it_stands_there(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(text, tmp_path, monkeypatch) == f"A setting is wrong: {sentence}"


def test_a_variable_that_wins_over_the_file_is_named_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHET_PARTITIONS", "many")

    assert "FRESHET_PARTITIONS: " in refusal("partitions = 4", tmp_path, monkeypatch)
