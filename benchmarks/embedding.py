"""Embedding: products a CPU second through our own path, beside the same networks on ready tensors.

Ready tensors: pixels already decoded, cropped and normalised, tokens already made, straight into the network in the
configuration and the batch that do best here (folded, channels last, one thread). Products: a 600 px JPEG and a
description each, drawn. All in CPU time, so a busy machine shows less.
"""

import asyncio
import io
import time
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw

from encoders.device import place
from encoders.image import PictureEncoder, efficientnet_lite0
from encoders.pictures import decode_picture
from encoders.text import TextEncoder, length_sorted_batches, minilm
from streams.agents.vectors import PICTURE_SIDE, Vectorizer

N = 48
ROUNDS = 3
WORDS = ("warm", "light", "oak", "steel", "desk", "lamp", "running", "shoe", "leather", "bag", "green", "for", "men")


def draw_jpeg(rng: np.random.Generator) -> bytes:
    """A 600 px picture with shapes and grain, as large as a shop's (about 60 KB)."""
    image = Image.fromarray(rng.normal(200, 12, (600, 600, 3)).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, size = (int(v) for v in rng.integers(0, 500, 3))
        pen.ellipse((x, y, x + size, y + size), fill=tuple(int(c) for c in rng.integers(0, 255, 3)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def draw_text(rng: np.random.Generator) -> str:
    """A title and a description: 10 to 60 words, most of them short."""
    return " ".join(rng.choice(WORDS, int(rng.integers(10, 60))))


def rates_of(steps: Mapping[str, Callable[[], object]], n: int) -> dict[str, float]:
    """Items a CPU second of each step, the best of some rounds; steps take turns, so that all meet the same noise."""
    best = dict.fromkeys(steps, 0.0)
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.process_time()
            step()
            best[name] = max(best[name], n / (time.process_time() - start))
    return best


def ready_pictures(encoder: PictureEncoder, pictures: list[Image.Image]) -> dict[str, Callable[[], object]]:
    """The network alone, on normalised tensors, by size of batch."""
    pixels, placement = encoder.preprocessing.pixels(pictures), place("cpu")

    def step(batch: int) -> Callable[[], object]:
        tensors = [encoder.preprocessing.normalised(pixels[i : i + batch], placement) for i in range(0, N, batch)]
        return lambda: [encoder.encode_tensor(tensor) for tensor in tensors]

    return {f"picture {batch}": step(batch) for batch in (2, 4, 8)}


def ready_texts(encoder: TextEncoder, texts: list[str]) -> dict[str, Callable[[], object]]:
    """The network alone, on tokens in batches of like length, by most tokens of a batch."""
    tokens = encoder.tokens(texts)

    def step(most: int) -> Callable[[], object]:
        batches = [[tokens[row] for row in rows] for rows in length_sorted_batches([*map(len, tokens)], most)]
        return lambda: [encoder.encode_tokens(batch) for batch in batches]

    return {f"text {most}": step(most) for most in (256, 512, 1024)}


def together(*rates: float) -> float:
    """Items a CPU second when each needs all of these."""
    return 1 / sum(1 / rate for rate in rates)


def main() -> None:
    rng = np.random.default_rng(0)
    jpegs, texts = [draw_jpeg(rng) for _ in range(N)], [draw_text(rng) for _ in range(N)]
    placement = place("cpu")
    image, text = efficientnet_lite0(placement), minilm(placement)
    pictures = [decode_picture(data, PICTURE_SIDE) for data in jpegs]
    vectorizer = Vectorizer(text, image)
    loop = asyncio.new_event_loop()

    steps = ready_pictures(image, pictures) | ready_texts(text, texts)
    steps["our pictures"] = lambda: image.encode(pictures)
    steps["our texts"] = lambda: text.encode(texts)
    steps["our products"] = lambda: loop.run_until_complete(vectorizer.encode(texts, [[jpeg] for jpeg in jpegs]))
    rates = rates_of(steps, N)
    vectorizer.close()
    loop.close()

    ready_image = max(rate for name, rate in rates.items() if name.startswith("picture"))
    ready_text = max(rate for name, rate in rates.items() if name.startswith("text"))
    ready, without = together(ready_image, ready_text), together(rates["our pictures"], rates["our texts"])
    print(f"{N} products, JPEG of {sum(map(len, jpegs)) / N / 1000:.0f} KB, one thread; items a CPU second")
    print("| what | ours | ready tensors | ours / ready | aim |")
    print("| --- | --- | --- | --- | --- |")
    for what, ours, beside, aim in (
        ("pictures, decoded", rates["our pictures"], ready_image, ""),
        ("texts", rates["our texts"], ready_text, ""),
        ("products without decoding", without, ready, "0.85"),
        ("products, 600 px JPEG decoded", rates["our products"], ready, "0.65"),
    ):
        print(f"| {what} | {ours:.1f} | {beside:.1f} | {ours / beside:.2f} | {aim} |")


if __name__ == "__main__":
    main()
