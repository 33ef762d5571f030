"""Where pictures are decoded: products a second by the clock, on the encoding thread, in threads and in processes.

Products of a text and a JPEG of 600 and of 2,400 pixels a side, through the embed agent's own vectorizer, 32 at a time.
Ways take turns, since what else the machine does slows all of them alike; the best and the middle of their rounds.
"""

import asyncio
import io
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.embedding import draw_jpeg, draw_text
from encoders.choose import image_encoder, text_encoder
from streams.agents.embed import BATCH
from streams.agents.vectors import Vectorizer

N = 64
ROUNDS = 3


class Inline(Executor):
    """Does what is submitted there and then."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*arguments, **named))
        return done


def enlarged(jpeg: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).resize((side, side)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def main() -> None:
    rng = np.random.default_rng(0)
    small, texts = [draw_jpeg(rng) for _ in range(N)], [draw_text(rng) for _ in range(N)]
    files = {"600 px": small, "2,400 px": [enlarged(jpeg, 2_400) for jpeg in small]}
    spawn = multiprocessing.get_context("spawn")
    ways = {
        "on the encoding thread": Inline(),
        "1 thread": ThreadPoolExecutor(1),
        "2 threads": ThreadPoolExecutor(2),
        "1 process": ProcessPoolExecutor(1, mp_context=spawn),
        "2 processes": ProcessPoolExecutor(2, mp_context=spawn),
    }
    text, image = text_encoder("bundled"), image_encoder("bundled")
    vectorizers = {name: Vectorizer(text, image, readers) for name, readers in ways.items()}
    rates: dict[tuple[str, str], list[float]] = {}
    with asyncio.Runner() as runner:
        for vectorizer in vectorizers.values():
            runner.run(vectorizer.encode(texts[:4], [[jpeg] for jpeg in small[:4]]))
        for _ in range(ROUNDS):
            for size, jpegs in files.items():
                for name, vectorizer in vectorizers.items():
                    start = time.perf_counter()
                    for at in range(0, N, BATCH):
                        pictures = [[jpeg] for jpeg in jpegs[at : at + BATCH]]
                        runner.run(vectorizer.encode(texts[at : at + BATCH], pictures))
                    rates.setdefault((name, size), []).append(N / (time.perf_counter() - start))
    for vectorizer in vectorizers.values():
        vectorizer.close()
    print(f"| decoded | {' | '.join(f'{size}: best | middle' for size in files)} |")
    print("| --- |" + " ---: | ---: |" * len(files))
    for name in ways:
        figures = [f"{max(rates[name, size]):.1f} | {np.median(rates[name, size]):.1f}" for size in files]
        print(f"| {name} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
