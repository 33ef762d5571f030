"""The bundled networks as ONNX Runtime sessions, with the extra `onnx`: the same vectors by other kernels.

A session is exported from the torch module the first time that it is wanted, and kept in a folder for the next.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from encoders.device import Placement, place
from encoders.image import LITE0_PREPROCESSING, PictureEncoder, lite0_network
from encoders.networks import first_line, prepared
from encoders.text import MINILM_TOKENS, TextEncoder, mean_of_tokens, minilm_network, minilm_tokenizer
from encoders.weights import EFFICIENTNET_LITE0, MINILM, PackagedWeights
from recsys.errors import ConfigError

EXPORT = 1
"""Part of each file's name: raise it when networks are exported otherwise than before."""
BATCH = 4
"""Rows of one pass, as torch has them on a CPU."""


class Session:
    """A network in ONNX Runtime, called with tensors as its torch module is; safe to call from several threads.

    Parameters
    ----------
    model : bytes
        The network in ONNX's form.

    Raises
    ------
    ConfigError
        If it is none.
    """

    def __init__(self, model: bytes, n_threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.log_severity_level = 3  # its warnings are about machines that have a GPU
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own tree of errors, made at run time
            raise ConfigError(f"ONNX Runtime cannot load the network ({first_line(error)}).") from error
        self._names = [given.name for given in self._session.get_inputs()]

    def __call__(self, *given: torch.Tensor) -> torch.Tensor:
        fed: Mapping[str, Any] = {
            name: np.ascontiguousarray(tensor.numpy()) for name, tensor in zip(self._names, given, strict=True)
        }
        return torch.from_numpy(self._session.run(None, fed)[0])


def efficientnet_lite0(n_threads: int, folder: Path | None = None) -> PictureEncoder:
    """As `encoders.image.efficientnet_lite0`, vectors equal within 0.001.

    Parameters
    ----------
    folder : Path, optional
        Where the exported network is kept; without it, it is exported each time, which takes some seconds.

    Raises
    ------
    ConfigError
        If the weights are missing or altered, or the file kept is damaged.
    """
    placement = _placement(n_threads)

    def export() -> bytes:
        network = prepared(lite0_network(), placement)
        side = LITE0_PREPROCESSING.crop_px
        return _exported(network, (torch.zeros(2, 3, side, side),), ({0: torch.export.Dim.DYNAMIC},))

    session = _session(EFFICIENTNET_LITE0, n_threads, folder, export)
    return PictureEncoder(
        EFFICIENTNET_LITE0.encoder_name, EFFICIENTNET_LITE0.dim, LITE0_PREPROCESSING, placement, session
    )


def minilm(n_threads: int, folder: Path | None = None) -> TextEncoder:
    """As `encoders.text.minilm`, vectors equal within 0.001; parameters and errors as `efficientnet_lite0` here."""
    placement = _placement(n_threads)

    def export() -> bytes:
        given = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
        shape = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        return _exported(_Pooled(minilm_network(placement)), given, (shape, shape))

    session = _session(MINILM, n_threads, folder, export)
    return TextEncoder(MINILM.encoder_name, MINILM.dim, minilm_tokenizer(), MINILM_TOKENS, placement, session)


class _Pooled(nn.Module):
    """A network over tokens, with the mean of what it says of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return mean_of_tokens(self._network, ids, mask)


def _placement(n_threads: int) -> Placement:
    return replace(place("cpu", n_threads=n_threads), is_narrow=False, batch=BATCH)


def _exported(module: Any, given: tuple[torch.Tensor, ...], shapes: tuple[Mapping[int, Any], ...]) -> bytes:
    """The module in ONNX's form, for any size of the dimensions that `shapes` names."""
    program = torch.onnx.export(module.eval(), given, dynamic_shapes=shapes, dynamo=True, verbose=False)
    assert program is not None  # it is None for the older exporter alone
    return bytes(program.model_proto.SerializeToString())


def _session(weights: PackagedWeights, n_threads: int, folder: Path | None, export: Callable[[], bytes]) -> Session:
    """The session of the exported network, out of the folder where it is there."""
    if folder is None:
        return Session(export(), n_threads)
    file = folder / f"{weights.encoder_name}-x{EXPORT}.onnx"
    try:
        if not file.exists():
            _keep(file, export())
        return Session(file.read_bytes(), n_threads)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read or written ({error.strerror}); see FRESHET_DATA_DIR.") from error
    except ConfigError as error:
        raise ConfigError(f"{file} is damaged: remove it, and it is made anew. {error}") from error


def _keep(file: Path, model: bytes) -> None:
    """Whole or not at all, whoever else is doing the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    made = file.with_name(f"{file.name}.{os.getpid()}")
    made.write_bytes(model)
    made.replace(file)
