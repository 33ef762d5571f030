"""The bundled networks in ONNX Runtime, beside themselves in torch."""

from dataclasses import replace

import numpy as np
import pytest

from encoders import choose, sessions
from encoders.choose import image_encoder, text_encoder
from encoders.device import place
from encoders.image import efficientnet_lite0
from encoders.text import minilm
from recsys.errors import ConfigError
from tests.encoders.drawings import a_gradient, a_shape

WIDE = replace(place("cpu"), is_narrow=False)
PICTURES = [a_shape("ellipse", "red", 200), a_gradient(300, 200), a_shape("rectangle", "blue", 90)]
TEXTS = ["A desk lamp of brass", "", "Running shoes " * 60, "鞋"]
BY_ROUNDING = 0.001


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def pictures(folder):
    return sessions.efficientnet_lite0(1, folder)


@pytest.fixture(scope="module")
def texts(folder):
    return sessions.minilm(1, folder)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_pictures_have_the_vectors_that_torch_gives(pictures, n):
    batch = (PICTURES * 2)[:n]

    assert np.abs(pictures.encode(batch) - efficientnet_lite0(WIDE).encode(batch)).max() < BY_ROUNDING


def test_texts_of_any_length_have_the_vectors_that_torch_gives(texts):
    assert np.abs(texts.encode(TEXTS) - minilm(WIDE).encode(TEXTS)).max() < BY_ROUNDING
    assert texts.encode([]).shape == (0, 384)


def test_vectors_carry_the_name_of_torchs_so_that_nothing_is_embedded_anew(folder):
    for make, name in ((text_encoder, "minilm-l6-v2"), (image_encoder, "efficientnet-lite0")):
        made = make("onnx", "cpu", folder=folder)

        assert made is not None
        assert made.name.startswith(name)
    bundled, own = image_encoder("bundled", "cpu"), image_encoder("onnx", "cpu", folder=folder)
    assert (own.name, own.dim) == (bundled.name, bundled.dim)
    assert (own.encode(PICTURES) * bundled.encode(PICTURES)).sum(axis=1) == pytest.approx(1, abs=0.002)


def test_a_network_is_exported_once(pictures, folder, monkeypatch):
    def never(*_):
        raise AssertionError("exported again")

    monkeypatch.setattr(sessions, "_exported", never)

    again = sessions.efficientnet_lite0(1, folder)

    assert np.array_equal(again.encode(PICTURES), pictures.encode(PICTURES))


def test_a_damaged_file_is_one_sentence_that_says_what_to_do(texts, folder, tmp_path):
    (kept,) = folder.glob("minilm*.onnx")
    damaged = tmp_path / kept.name
    damaged.write_bytes(kept.read_bytes()[:1000])

    with pytest.raises(ConfigError, match="remove it") as raised:
        sessions.minilm(1, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sessions, "_exported", lambda *_: b"")

    with pytest.raises(ConfigError, match="FRESHET_DATA_DIR"):
        sessions.minilm(1, tmp_path / "file" / "networks")


@pytest.mark.parametrize("make", [text_encoder, image_encoder])
def test_a_missing_extra_is_one_sentence(make, monkeypatch):
    monkeypatch.setattr(choose, "find_spec", lambda name: None if name == "onnxscript" else name)

    with pytest.raises(ConfigError, match="takes the extra `onnx`, and onnxscript is not installed: pip install"):
        make("onnx", "cpu")


def test_another_device_is_one_sentence():
    with pytest.raises(ConfigError, match="runs on the CPU"):
        text_encoder("onnx", "cuda")
