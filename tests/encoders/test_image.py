"""Picture encoders: their preprocessing and their networks."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from encoders.device import place
from encoders.image import (
    LITE0_PREPROCESSING,
    RESNET50_PREPROCESSING,
    Preprocessing,
    efficientnet_lite0,
    resnet50,
)
from encoders.networks import parameters_hash, with_folded_norms
from recsys.errors import ConfigError
from tests.encoders.drawings import a_gradient, a_shape

CPU = place("cpu")


@pytest.fixture(scope="module")
def lite0():
    return efficientnet_lite0(CPU)


@pytest.mark.parametrize("size", [(640, 480), (300, 901), (224, 224), (97, 31), (1, 700)])
@pytest.mark.parametrize("preprocessing", [LITE0_PREPROCESSING, RESNET50_PREPROCESSING], ids=["lite0", "resnet50"])
def test_preprocessing_equals_torchvisions_own(preprocessing, size):
    interpolation = {Image.Resampling.BICUBIC: v2.InterpolationMode.BICUBIC}.get(
        preprocessing.resample, v2.InterpolationMode.BILINEAR
    )
    reference = v2.Compose(
        [
            v2.Resize(preprocessing.resize_px, interpolation=interpolation),
            v2.CenterCrop(preprocessing.crop_px),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )
    picture = a_gradient(*size)

    ours = preprocessing.normalised(preprocessing.pixels([picture]), CPU)[0]

    one_step = 1 / 255 / min(preprocessing.std)
    assert torch.abs(ours - reference(picture)).max() <= one_step * 1.01


def test_preprocessing_equals_what_the_weights_of_resnet50_say_of_themselves():
    reference = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()

    assert (reference.resize_size, reference.crop_size) == ([RESNET50_PREPROCESSING.resize_px], [224])
    assert tuple(reference.mean) == RESNET50_PREPROCESSING.mean
    assert tuple(reference.std) == RESNET50_PREPROCESSING.std
    assert reference.interpolation.value == "bilinear"


def test_preprocessing_equals_what_timm_says_of_lite0():
    reference = timm.get_pretrained_cfg("tf_efficientnet_lite0")

    assert (reference.mean, reference.std) == (LITE0_PREPROCESSING.mean, LITE0_PREPROCESSING.std)
    assert round(LITE0_PREPROCESSING.crop_px / reference.crop_pct) == LITE0_PREPROCESSING.resize_px
    assert reference.interpolation == "bicubic"


def test_a_picture_of_one_pixel_by_twelve_thousand_costs_no_more_than_another():
    assert Preprocessing.crop(LITE0_PREPROCESSING, a_gradient(12_000, 1)).size == (224, 224)


def test_lite0_gives_unit_rows_and_knows_a_shape_in_another_size(lite0):
    pictures = [
        a_shape("ellipse", "red"),
        a_shape("ellipse", "red", 300),
        a_shape("rectangle", "blue"),
        a_gradient(80, 60),
    ]
    vectors = lite0.encode(pictures)

    assert vectors.dtype == np.float32
    assert vectors.shape == (4, lite0.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.argmax(vectors[0] @ vectors[1:].T) == 0


def test_lite0_names_network_weights_and_preprocessing(lite0):
    assert lite0.name == "efficientnet-lite0-57934424-p1"


def test_an_empty_batch_gives_no_rows(lite0):
    assert lite0.encode([]).shape == (0, 1280)


@settings(max_examples=5, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(20, 300), st.integers(20, 300)), min_size=2, max_size=10))
def test_a_row_does_not_depend_on_the_batch_around_it(lite0, sizes):
    pictures = [a_gradient(*size) for size in sizes]

    together = lite0.encode(pictures)
    alone = np.concatenate([lite0.encode([picture]) for picture in pictures])

    assert np.abs(together - alone).max() < 1e-4


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_folding_the_norms_changes_nothing_but_rounding(name):
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    network.eval()
    x = torch.randn(2, 3, 64, 64)

    with torch.inference_mode():
        expected, got = network(x), with_folded_norms(network)(x)

    assert torch.allclose(expected, got, atol=1e-3 * float(expected.abs().max()))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in with_folded_norms(network).modules())


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    torch.manual_seed(1)
    file = tmp_path_factory.mktemp("resnet") / "resnet50.pth"
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), file)
    return file


def test_narrow_products_leave_pictures_where_they_were():
    pictures = [a_shape("ellipse", "red", 200), a_gradient(300, 200), a_shape("rectangle", "blue", 90)]
    wide, narrow = (
        efficientnet_lite0(replace(CPU, is_narrow=is_narrow)).encode(pictures) for is_narrow in (False, True)
    )

    assert ((wide * narrow).sum(axis=1) > 0.998).all()


def test_resnet50_gives_what_torchvisions_own_network_gives_before_its_last_layer(resnet_file):
    picture = a_gradient(300, 260)
    network = torchvision.models.resnet50(weights=None)
    network.load_state_dict(torch.load(resnet_file, weights_only=True))
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = network.eval()(torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()(picture)[None])[0]

    encoder = resnet50(CPU, resnet_file)
    vector = encoder.encode([picture])[0]

    assert encoder.dim == 2048
    assert float(torch.nn.functional.cosine_similarity(expected, torch.from_numpy(vector), dim=0)) > 0.9999


def test_two_resnets_with_other_weights_have_other_names(resnet_file):
    other = torchvision.models.resnet50(weights=None)
    own = torchvision.models.resnet50(weights=None)
    own.load_state_dict(torch.load(resnet_file, weights_only=True))
    own.fc = torch.nn.Identity()

    assert resnet50(CPU, resnet_file).name == f"resnet50-{parameters_hash(own)}-p1"
    assert parameters_hash(other) != parameters_hash(own)


def test_weights_that_are_none_are_one_sentence(tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"no weights")

    for file in (tmp_path / "bad.pth", tmp_path / "missing.pth"):
        with pytest.raises(ConfigError, match="cannot be loaded"):
            resnet50(CPU, file)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"fc.weight": Evil()}, tmp_path / "evil.pth")

    with pytest.raises(ConfigError):
        resnet50(CPU, tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()
