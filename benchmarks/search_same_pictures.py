"""Telling that two products show the same picture: by vectors, by looks (pHash) and by both, on real pictures.

81 studio pictures and 150 photos of groceries (`shared/data/grocery`), each beside a recompressed, shrunk, cropped,
brightened and bordered copy of itself (which should be found), and beside all the others (which should not).
"""

import csv
import io
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from encoders.choose import image_encoder
from encoders.looks import look_of
from encoders.pictures import decode_picture
from recsys.same_pictures import LEAST_COSINE, MOST_BITS

DATA = Path(__file__).parents[2] / "shared" / "data" / "grocery"
PHOTOS = 150
WAYS: dict[str, Callable[[float, int], bool]] = {
    "cosine ≥ .95": lambda cosine, bits: cosine >= 0.95,
    "cosine ≥ .98": lambda cosine, bits: cosine >= 0.98,
    "look within 4 bits": lambda cosine, bits: bits <= 4,
    "6 bits": lambda cosine, bits: bits <= 6,
    "8 bits": lambda cosine, bits: bits <= 8,
    "6 bits and cosine ≥ .9": lambda cosine, bits: bits <= 6 and cosine >= 0.9,
    f"{MOST_BITS} bits and cosine ≥ {LEAST_COSINE} (in use)": lambda cosine, bits: (
        bits <= MOST_BITS and cosine >= LEAST_COSINE
    ),
}
Look = tuple[NDArray[np.float32], np.uint64]


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def changed(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    width, height = picture.size
    yield "quality 40", jpeg(picture, 40)
    yield "half the size", jpeg(picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC))
    yield "cropped by 4 %", jpeg(picture.crop((width // 25, height // 25, width - width // 25, height - height // 25)))
    yield "15 % brighter", jpeg(ImageEnhance.Brightness(picture).enhance(1.15))
    bordered = Image.new("RGB", (width * 6 // 5, height * 6 // 5), "white")
    bordered.paste(picture, (width // 10, height // 10))
    yield "with a white border", jpeg(bordered)


def main() -> None:
    with (DATA / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    files = [row["image"] for row in rows if row["split"] == "iconic"]
    files += [row["image"] for row in rows if row["split"] == "val"][:PHOTOS]
    encoder = image_encoder("bundled")
    assert encoder is not None

    def looked_at(data: bytes) -> Look:
        picture = decode_picture(data, 256)
        return encoder.encode([picture])[0], np.frombuffer(look_of(picture), np.uint64)[0]

    originals = [looked_at((DATA / name).read_bytes()) for name in files]
    copies: dict[str, list[Look]] = {}
    for name in files:
        for how, data in changed(Image.open(DATA / name).convert("RGB")):
            copies.setdefault(how, []).append(looked_at(data))
    print(f"| | {' | '.join(WAYS)} |\n| --- |{' ---: |' * len(WAYS)}")
    for how, looks in copies.items():
        pairs = [between(*pair) for pair in zip(originals, looks, strict=True)]
        found = [f"{np.mean([is_same(*pair) for pair in pairs]):.3f}" for is_same in WAYS.values()]
        print(f"| copies found: {how} | {' | '.join(found)} |", flush=True)
    others = [between(*pair) for pair in combinations(originals, 2)]
    wrong = [str(sum(is_same(*pair) for pair in others)) for is_same in WAYS.values()]
    print(f"| other pictures taken for the same, of {len(others):,} pairs | {' | '.join(wrong)} |")


def between(one: Look, other: Look) -> tuple[float, int]:
    """Their cosine, and the bits in which their looks differ."""
    return float(one[0] @ other[0]), int(np.bitwise_count(one[1] ^ other[1]))


if __name__ == "__main__":
    main()
