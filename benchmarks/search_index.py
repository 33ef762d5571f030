"""The live index beside plain FAISS at the same recall: `python -m benchmarks.search_index [--real N] [--drawn N …]`.

Real vectors are package descriptions of `apt-cache dumpavail` as the bundled text encoder sees them, embedded once and
kept in the user's cache folder. Drawn ones are clustered (mixtures of 1,000 centres) and flatter every index. One
thread searches; sealing runs in another, and in the second part of each table so do writes: replacements, additions,
removals.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from encoders.choose import text_encoder
from recsys.ids import ItemIds
from recsys.index.live import LiveIndex
from recsys.index.sealed import BUILD_BREADTH, NEIGHBOURS
from recsys.types import Matrix
from streams.until_stopped import SWITCH_S

DIM, K, QUERIES = 384, 10, 1_000
BLOCK = 8_192
RATES = {"add": 500, "replace": 200, "remove": 100}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "freshet" / "apt-descriptions.npy"


def descriptions() -> list[str]:
    out = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    texts = []
    for paragraph in out.split("\n\n"):
        fields = dict(line.split(":", 1) for line in paragraph.splitlines() if line[:1].isalpha() and ":" in line)
        text = fields.get("Description-en") or fields.get("Description")
        if text and "Package" in fields:
            texts.append(f"{fields['Package'].strip()}: {text.strip()}")
    return list(dict.fromkeys(texts))


def real_vectors(most: int) -> Matrix:
    """Embedded once, in order, as far as they are asked for; what is done is kept, also where it is interrupted."""
    held = np.load(CACHE) if CACHE.exists() else np.zeros((0, DIM), np.float16)
    wanted = descriptions()[:most]
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    encoder = text_encoder("bundled")
    assert encoder is not None
    while len(held) < len(wanted):
        held = np.concatenate([held, encoder.encode(wanted[len(held) : len(held) + BLOCK]).astype(np.float16)])
        np.save(CACHE, held)
    return held[: len(wanted)].astype(np.float32)


def drawn_vectors(n: int) -> Matrix:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1_000, DIM)).astype(np.float32)
    vectors = centres[rng.integers(0, 1_000, n)] + rng.standard_normal((n, DIM), dtype=np.float32) * np.float32(1.2)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def queries_of(vectors: Matrix, n: int = QUERIES) -> Matrix:
    """Stored vectors turned a little, as a shopper's words differ from a product's."""
    rng = np.random.default_rng(1)
    chosen = vectors[rng.integers(0, len(vectors), n)]
    turned = chosen + np.float32(0.5 / DIM**0.5) * rng.standard_normal(chosen.shape, dtype=np.float32)
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def truth(vectors: Matrix, queries: Matrix, allowed: Any = None) -> np.ndarray[Any, Any]:
    flat = faiss.IndexFlatIP(DIM)
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    flat.add(vectors[rows])
    return rows[flat.search(queries, K)[1]]


def recall(found: list[list[int]], right: np.ndarray[Any, Any]) -> float:
    return float(np.mean([len(set(a[:K]) & set(b.tolist())) / len(b) for a, b in zip(found, right, strict=True)]))


Result = tuple[list[list[int]], float, float]
Ask = Callable[[int], list[int]]
TURN = 200
"""Queries; the rate is the median of the turns'."""


def timed(ask: Ask, n: int) -> Result:
    """Answers, queries a second of the thread's CPU time, and the 99th percentile of the clock's in milliseconds."""
    return in_turns([ask], n)[0]


def in_turns(asked: list[Ask], n: int) -> list[Result]:
    """As `timed`, several indexes taking turns, so that what else the machine does slows all of them alike."""
    results: list[Result] = []
    found: list[list[list[int]]] = [[] for _ in asked]
    taken: list[list[float]] = [[] for _ in asked]
    rates: list[list[float]] = [[] for _ in asked]
    for start in range(0, n, TURN):
        for place, ask in enumerate(asked):
            began, cpu = time.perf_counter(), time.thread_time()
            for number in range(start, min(start + TURN, n)):
                found[place].append(ask(number))
                taken[place].append(time.perf_counter() - began)
                began = time.perf_counter()
            rates[place].append((min(start + TURN, n) - start) / (time.thread_time() - cpu))
    for place in range(len(asked)):
        p99 = 1e3 * float(np.quantile(taken[place], 0.99))
        results.append((found[place], float(np.median(rates[place])), p99))
    return results


def row(name: str, result: Result, right: np.ndarray[Any, Any], bytes_each: float = 0) -> str:
    found, rate, p99 = result
    memory = f"{bytes_each:,.0f}" if bytes_each else ""
    return f"| {name} | {recall(found, right):.3f} | {rate:,.0f} | {p99:.2f} | {memory} |"


def live(vectors: Matrix) -> LiveIndex:
    index = LiveIndex(ItemIds())
    for number, vector in enumerate(vectors):
        index.put(str(number), "text", vector, "t")
    return index


def seal(index: LiveIndex) -> None:
    for sealing in index.sealings():
        sealing.build()
        sealing.put_in_use()


def bytes_of(index: Any) -> float:
    return float(faiss.serialize_index(index).nbytes) / max(int(index.ntotal), 1)


def plain_ivf(vectors: Matrix) -> tuple[str, Any, Callable[[int], Any]]:
    n_lists = int(4 * len(vectors) ** 0.5)
    index = faiss.index_factory(DIM, f"IVF{n_lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.min_points_per_centroid = 6, 1
    index.train(vectors[:: max(1, len(vectors) // (20 * n_lists))])
    index.add(vectors)
    return f"IVF{n_lists}", index, lambda breadth: faiss.SearchParametersIVF(nprobe=breadth)


def plain_hnsw(vectors: Matrix) -> tuple[str, Any, Callable[[int], Any]]:
    index = faiss.IndexHNSWFlat(DIM, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    return f"HNSW{NEIGHBOURS}", index, lambda breadth: faiss.SearchParametersHNSW(efSearch=breadth)


def careful_hnsw(vectors: Matrix) -> tuple[str, Any, Callable[[int], Any]]:
    """As ours is built, not as FAISS does by default."""
    index = faiss.IndexHNSWFlat(DIM, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_BREADTH
    index.add(vectors)
    return (
        f"HNSW{NEIGHBOURS} built at {BUILD_BREADTH}",
        index,
        lambda breadth: faiss.SearchParametersHNSW(efSearch=breadth),
    )


def plain(
    made: tuple[str, Any, Callable[[int], Any]], queries: Matrix, right: np.ndarray[Any, Any], wanted: float
) -> tuple[str, Ask, float]:
    """Plain FAISS, float32, at the least breadth that reaches a recall; its bytes a vector."""
    name, index, parameters = made

    def asking(breadth: int) -> Ask:
        asked = parameters(breadth)
        return lambda number: index.search(queries[number : number + 1], K, params=asked)[1][0].tolist()  # type: ignore[no-any-return]

    for breadth in (8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384):
        ask = asking(breadth)
        if recall([ask(number) for number in range(QUERIES)], right) >= wanted - 0.001:
            break
    return f"plain FAISS {name}, breadth {breadth}", ask, bytes_of(index)


class Writers:
    """Writes at a steady rate in one thread, sealing in another, as a gateway's loop and its worker thread do."""

    def __init__(self, index: LiveIndex, fresh: Matrix, scale: float) -> None:
        self.index, self.fresh, self.scale = index, fresh, scale
        self.n_written, self.most_unsealed, self.n_sealings = 0, 0, 0
        self.visible_ms: list[float] = []
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=work) for work in (self._write, self._seal)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        rng, n = np.random.default_rng(2), len(self.index.ids)
        kinds = rng.choice(list(RATES), 4_096, p=np.array(list(RATES.values())) / sum(RATES.values())).tolist()
        rows = rng.integers(0, n, 4_096).tolist()
        step = 1 / (sum(RATES.values()) * self.scale)
        start = time.perf_counter()
        while not self.stopped.is_set():
            late = time.perf_counter() - start - self.n_written * step
            if late < 0:
                time.sleep(-late)
            kind, row_ = kinds[self.n_written % 4_096], str(rows[self.n_written % 4_096])
            vector = self.fresh[self.n_written % len(self.fresh)]
            with self._lock:
                if kind == "add":
                    self.index.put(f"new-{self.n_written}", "text", vector, "t")
                elif kind == "replace":
                    self.index.put(row_, "text", vector, "t")
                else:
                    self.index.remove(row_)
            self.n_written += 1

    def _seal(self) -> None:
        while not self.stopped.wait(0.5):
            segment = self.index.segment("text", DIM)
            assert segment is not None
            self.most_unsealed = max(self.most_unsealed, segment.n_unsealed)
            with self._lock:
                sealings = self.index.sealings()
            for sealing in sealings:
                sealing.build()
                with self._lock:
                    sealing.put_in_use()
                self.n_sealings += 1


def visible_ms(index: LiveIndex, vector: Any) -> float:
    """From a write to a search that finds it."""
    start = time.perf_counter()
    index.put("seen-at-once", "text", vector, "t")
    assert index.search({"text": vector}, 1)[0][0] == "seen-at-once"
    taken = 1e3 * (time.perf_counter() - start)
    index.remove("seen-at-once")
    return taken


def measure(name: str, vectors: Matrix, seconds: float, with_hnsw: bool) -> None:
    queries = queries_of(vectors)
    right = truth(vectors, queries)
    index = live(vectors)
    start = time.perf_counter()
    seal(index)
    built = time.perf_counter() - start

    def ask(number: int) -> list[int]:
        return [int(item_id) if item_id.isdigit() else -1 for item_id, _ in index.search({"text": queries[number]}, K)]

    print(f"\n{len(vectors):,} {name} vectors; sealed in {built:.1f} s\n")
    print("| index | recall@10 | queries/CPU s | p99 ms | bytes a vector |\n| --- | ---: | ---: | ---: | ---: |")
    segment = index.segment("text", DIM)
    assert segment is not None
    assert segment.cover is not None
    own_bytes = 2 * DIM + bytes_of(segment.cover.sealed._index)
    wanted = recall([ask(number) for number in range(QUERIES)], right)
    rivals = [("Freshet, at rest", ask, own_bytes)]
    rivals += [
        plain(made(vectors), queries, right, wanted)
        for made in ([plain_ivf, plain_hnsw, careful_hnsw][: 1 + 2 * with_hnsw])
    ]
    results = in_turns([ask_ for _, ask_, _ in rivals], QUERIES)
    for (called, _, bytes_each), result in zip(rivals, results, strict=True):
        print(row(called, result, right, bytes_each), flush=True)
    rate, best = results[0][1], max(result[1] for result in results[1:])
    for share in (0.5, 0.1, 0.01, 0.001):
        allowed = np.random.default_rng(3).random(len(vectors)) < share

        def ask_filtered(number: int, allowed: Any = allowed) -> list[int]:
            return [int(item_id) for item_id, _ in index.search({"text": queries[number]}, K, allowed)]

        filtered = timed(ask_filtered, QUERIES // 5)
        print(row(f"Freshet, {share:.1%} pass a filter", filtered, truth(vectors, queries[: QUERIES // 5], allowed)))
    writing = under_writes(index, queries, vectors, ask, seconds)
    print(f"Beside the faster plain index: {rate / best:.2f} at rest, {writing / best:.2f} while writing.", flush=True)


def under_writes(
    index: LiveIndex, queries: Matrix, vectors: Matrix, ask: Callable[[int], list[int]], seconds: float
) -> float:
    """Prints, and gives, the rate of searches while writes go on."""
    scale = 1.0 if len(vectors) < 500_000 else 0.1
    taken: list[float] = []
    fresh = queries_of(vectors[::-1], int(seconds * sum(RATES.values()) * scale))
    with Writers(index, fresh, scale) as writers:
        end, cpu = time.perf_counter() + seconds, time.thread_time()
        while time.perf_counter() < end:
            start = time.perf_counter()
            ask(len(taken) % QUERIES)
            taken.append(time.perf_counter() - start)
        cpu = time.thread_time() - cpu
    segment = index.segment("text", DIM)
    assert segment is not None
    least = [segment.search(query, K, exact=True)[1][-1] - 1e-5 for query in queries[:200]]
    found = [(segment.search(query, K)[1] >= low).mean() for query, low in zip(queries, least, strict=False)]
    unlike = np.random.default_rng(4).standard_normal((200, DIM)).astype(np.float32)
    unlike /= np.linalg.norm(unlike, axis=1, keepdims=True)
    seen = [visible_ms(index, vector) for vector in unlike]
    p99, rate = 1e3 * np.quantile(taken, 0.99), len(taken) / cpu
    print(
        f"| Freshet, {writers.n_written / seconds:,.0f} writes a second for {seconds:.0f} s "
        f"| {np.mean(found):.3f} | {rate:,.0f} | {p99:.2f} | |\n\n"
        f"{writers.n_sealings} sealings; at most {writers.most_unsealed:,} rows unsealed. "
        f"A write is in the next search's answer, {np.quantile(seen, 0.99):.1f} ms (p99) after it began.",
        flush=True,
    )
    return rate


def main() -> None:
    faiss.omp_set_num_threads(1)
    sys.setswitchinterval(SWITCH_S)  # as our processes do
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=int, default=100_000, help="real vectors at most; 0 for none")
    parser.add_argument("--drawn", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=120, help="of writing")
    parser.add_argument("--no-hnsw", action="store_true")
    asked = parser.parse_args()
    if asked.real:
        measure("real", real_vectors(asked.real), asked.seconds, not asked.no_hnsw)
    for n in asked.drawn:
        measure("drawn", drawn_vectors(n), asked.seconds, not asked.no_hnsw and n <= 100_000)


if __name__ == "__main__":
    main()
