"""Pictures drawn for tests."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw


def a_gradient(width: int, height: int) -> Image.Image:
    """A smooth picture with no two rows or columns alike."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.stack([255 * x, 255 * y, 255 * (0.5 + 0.5 * np.sin(9 * x * y))], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def a_shape(kind: str, colour: str = "red", size: int = 128) -> Image.Image:
    """A plain drawing on white."""
    image = Image.new("RGB", (size, size), "white")
    edge = (size // 8, size // 8, size - size // 8, size - size // 8)
    getattr(ImageDraw.Draw(image), kind)(edge, fill=colour)
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture's file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
