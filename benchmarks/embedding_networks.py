"""The bundled networks in torch and in ONNX Runtime, in one run: pictures and texts a CPU second, one thread.

A picture is one view, cropped beforehand (a product's picture takes two); texts are drawn, 10 to 60 words. What is made
ready (normalising, tokens) is counted, alike for all.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.embedding import N, draw_jpeg, draw_text, rates_of
from encoders import image, sessions, text
from encoders.device import place
from encoders.pictures import decode_picture
from streams.agents.vectors import PICTURE_SIDE

BATCHES = (1, 2, 4, 8)
"""Rows of one pass for pictures; for texts, the same times 128 tokens."""


def in_batches(encoder: Any, size: int) -> Any:
    """The same encoder with another size of batch."""
    encoder._placement = replace(encoder._placement, batch=size)
    return encoder


def table(what: str, networks: dict[str, Any], inputs: list[Any]) -> None:
    """Prints a row for each network, the best size of batch for each."""
    steps = {
        f"{name}|{size}": lambda encoder=encoder, size=size: in_batches(encoder, size).encode(inputs)
        for name, encoder in networks.items()
        for size in BATCHES
    }
    rates = rates_of(steps, len(inputs))
    exact = networks["torch, float32"].encode(inputs)
    for name, encoder in networks.items():
        rate, size = max((rates[f"{name}|{size}"], size) for size in BATCHES)
        vectors = encoder.encode(inputs)
        furthest = np.abs(vectors - exact).max()
        print(
            f"| {what} | {name} | {rate:.0f} | {size} | {(vectors * exact).sum(axis=1).min():.5f} | {furthest:.1e} |",
            flush=True,
        )


def main() -> None:
    rng = np.random.default_rng(0)
    pictures = [decode_picture(draw_jpeg(rng), PICTURE_SIDE) for _ in range(N)]
    texts = [draw_text(rng) for _ in range(N)]
    here = place("cpu")
    wide = replace(here, is_narrow=False)
    torch_pictures = {"torch, float32": image.efficientnet_lite0(wide)}
    torch_texts = {"torch, float32": text.minilm(wide)}
    if here.is_narrow:
        torch_pictures["torch, bfloat16 where it may be"] = image.efficientnet_lite0(here)
        torch_texts["torch, bfloat16 where it may be"] = text.minilm(here)
    print("| what | network | a CPU second | batch | least cosine with float32 | greatest difference of a number |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    table("pictures", torch_pictures | {"ONNX Runtime, float32": sessions.efficientnet_lite0(1)}, pictures)
    table("texts", torch_texts | {"ONNX Runtime, float32": sessions.minilm(1)}, texts)


if __name__ == "__main__":
    main()
