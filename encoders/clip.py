"""CLIP: texts and pictures in one space, so that either finds the other."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from encoders.device import Placement
from encoders.image import PictureEncoder, Preprocessing
from encoders.networks import first_line, parameters_hash
from encoders.text import TextEncoder
from recsys.errors import ConfigError


class Clip:
    """Both parts of one CLIP, from a folder or the hub; they carry the same name, being one space.

    Parameters
    ----------
    name : str
        A folder saved by transformers, or a name on its hub.

    Raises
    ------
    ConfigError
        If it cannot be loaded.
    """

    def __init__(self, name: str, placement: Placement) -> None:
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        is_local = Path(name).is_dir()
        try:
            network = CLIPModel.from_pretrained(name, local_files_only=is_local, dtype=placement.dtype)
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=is_local)
            processor = CLIPImageProcessor.from_pretrained(name, local_files_only=is_local)
        except Exception as error:  # OSError, ValueError, HTTP and safetensors errors: all mean that there is no model
            raise ConfigError(
                f"CLIP {name!r} cannot be loaded ({first_line(error)}); "
                f"give a folder saved by transformers or a name on its hub, or take the bundled encoders."
            ) from error
        self.name = f"clip-{Path(name).name}-{parameters_hash(network)}-p1"
        self._network = network.eval().to(placement.device)
        dim, max_tokens = int(network.config.projection_dim), int(network.config.text_config.max_position_embeddings)
        self.text = TextEncoder(self.name, dim, tokenizer, max_tokens, placement, self._text_vectors)
        self.image = PictureEncoder(self.name, dim, _preprocessing(processor), placement, self._image_vectors)

    def _text_vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self._network.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
        return vectors

    def _image_vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self._network.get_image_features(pixel_values=pixels).pooler_output
        return vectors


def _preprocessing(processor: Any) -> Preprocessing:
    """What the model's own folder says of its pictures."""
    size, crop = processor.size, processor.crop_size
    return Preprocessing(
        resize_px=int(size["shortest_edge"] if "shortest_edge" in size else size["height"]),
        crop_px=int(crop["height"]),
        resample=Image.Resampling(int(processor.resample)),
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
    )
