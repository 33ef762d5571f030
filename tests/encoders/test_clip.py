"""CLIP: both parts as transformers computes them."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from encoders.clip import Clip
from encoders.device import place
from recsys.errors import ConfigError
from tests.encoders.drawings import a_gradient
from tests.encoders.tiny_models import save_clip

CPU = place("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def clip(folder):
    return Clip(str(folder), CPU)


def unit(vector: torch.Tensor) -> np.ndarray:
    return (vector / vector.norm()).numpy()


def test_texts_equal_transformers_own(folder, clip):
    network, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    texts = ["red shoe", "a warm lamp of light leather", "chair"]
    with torch.inference_mode():
        expected = [
            unit(network.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output[0]) for text in texts
        ]

    assert np.allclose(clip.text.encode(texts), expected, atol=1e-5)
    assert not clip.text.encode([""]).any()


def test_pictures_equal_transformers_own(folder, clip):
    network, processor = CLIPModel.from_pretrained(folder).eval(), CLIPImageProcessorPil.from_pretrained(folder)
    picture = a_gradient(90, 61)
    pixels = processor(picture, return_tensors="pt")["pixel_values"]

    ours = clip.image.preprocessing.normalised(clip.image.preprocessing.pixels([picture]), CPU)
    with torch.inference_mode():
        expected = unit(network.get_image_features(pixel_values=pixels).pooler_output[0])

    assert torch.abs(ours - pixels).max() <= 1 / 255 / 0.26 * 1.01
    assert clip.image.encode([picture])[0] @ expected > 0.9999


def test_both_parts_are_one_space(clip):
    assert clip.text.name == clip.image.name
    assert clip.text.dim == clip.image.dim == 24
    assert clip.image.encode([Image.new("RGB", (5, 5))]).shape == (1, 24)


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Clip(str(tmp_path), CPU)
