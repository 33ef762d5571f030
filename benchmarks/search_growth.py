"""How a query's time grows with the catalogue: `python -m benchmarks.search_growth [N …]`.

The live index alone among clustered drawn vectors (mixtures of 1,000 centres, which flatter every index), one thread,
each size in a process of its own; `--plain` puts plain FAISS's lists at the same recall beside the last of them, and
`--seconds` has writes go in afterwards.
"""

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

import faiss

from benchmarks.search_index import (
    DIM,
    QUERIES,
    K,
    bytes_of,
    drawn_vectors,
    live,
    plain,
    plain_ivf,
    queries_of,
    recall,
    seal,
    timed,
    truth,
    under_writes,
)
from recsys.index.live import LiveIndex
from streams.until_stopped import SWITCH_S

HEADS = ("vectors", "index", "recall@10", "CPU µs a query", "p99 ms", "bytes a vector", "µs to put one", "s to seal")


def grow(n: int, with_plain: bool, seconds: float) -> None:
    """Prints a row."""
    faiss.omp_set_num_threads(1)
    sys.setswitchinterval(SWITCH_S)  # as our processes do
    vectors = drawn_vectors(n)
    queries = queries_of(vectors)
    right = truth(vectors, queries)
    start = time.process_time()
    index = live(vectors)
    put_us = 1e6 * (time.process_time() - start) / n
    before, start = memory(), time.process_time()
    seal(index)
    seal_s = time.process_time() - start

    def ask(number: int) -> list[int]:
        return [int(item_id) if item_id.isdigit() else -1 for item_id, _ in index.search({"text": queries[number]}, K)]

    found, rate, p99 = timed(ask, QUERIES)
    kind, sealed_bytes = sealed_of(index)
    speed = f"{recall(found, right):.3f} | {1e6 / rate:,.0f} | {p99:.2f}"
    costs = f"{2 * DIM + sealed_bytes:,.0f} | {put_us:.0f} | {seal_s:.0f} | {before:.1f}, {memory():.1f}"
    print(f"| {n:,} | {kind} | {speed} | {costs} |", flush=True)
    if with_plain:
        name, ask_plain, bytes_each = plain(plain_ivf(vectors), queries, right, recall(found, right))
        found, plain_rate, p99 = timed(ask_plain, QUERIES)
        print(
            f"| {n:,} | {name} | {recall(found, right):.3f} | {1e6 / plain_rate:,.0f} | {p99:.2f} | {bytes_each:,.0f} |"
        )
    if seconds:
        under_writes(index, queries, vectors, ask, seconds)


def sealed_of(index: LiveIndex) -> tuple[str, float]:
    """What stands over the exact vectors, and its bytes for each of them."""
    segment = index.segment("text", DIM)
    assert segment is not None
    if segment.cover is None:
        return "a scan", 0.0
    sealed = segment.cover.sealed
    return f"{type(sealed._index).__name__}, breadth {sealed.breadth}", bytes_of(sealed._index)


def memory() -> float:
    """GiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--plain", action="store_true", help="plain FAISS's lists too, for the last size")
    parser.add_argument("--seconds", type=float, default=0, help="of writing, for the last size")
    asked = parser.parse_args()
    print(f"| {' | '.join(HEADS)} | GiB before and after sealing |")
    print("| ---: | --- |" + " ---: |" * (len(HEADS) - 1), flush=True)
    for n in asked.sizes:
        is_last = n == asked.sizes[-1]
        wanted = (n, asked.plain and is_last, asked.seconds if is_last else 0.0)
        child = multiprocessing.get_context("spawn").Process(target=grow, args=wanted)
        child.start()
        child.join()


if __name__ == "__main__":
    main()
