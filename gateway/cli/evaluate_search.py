"""`freshet evaluate-search`: how good search is on judged queries, through the code that the gateway runs."""

import asyncio
import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from encoders.base import Encoder
    from recsys.catalogue import Catalogue

CUT = 10
Judged = dict[str, dict[str, float]]
"""Grades of items, at least 0, by query."""


def evaluate_search(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with a header or JSON Lines: query, item_id and, if not all are alike, grade."),
    ],
) -> None:
    """Search the catalogue for each judged query and print NDCG@10, MRR and recall@10."""
    from rich.console import Console
    from rich.table import Table

    from encoders.choose import text_encoder
    from gateway.cli.stored_catalogue import read_catalogue
    from streams.settings import read_settings

    settings = read_settings()
    judged = read_judgements(file)
    catalogue = asyncio.run(read_catalogue(settings))
    catalogue.learn_sight()
    table = Table("queries", f"NDCG@{CUT}", "MRR", f"recall@{CUT}", "judged items unknown")
    encoder = text_encoder(settings.text_encoder, settings.device, folder=settings.networks_dir)
    marks = search_marks(catalogue, judged, encoder)
    unknown = sum(item not in catalogue for grades in judged.values() for item in grades)
    table.add_row(f"{len(judged):,}", *(f"{mark:.3f}" for mark in marks), f"{unknown:,}")
    Console().print(table)


def read_judgements(file: Path) -> Judged:
    """Raises ConfigError, naming the line, for a file that cannot be read."""
    from recsys.errors import ConfigError

    judged: Judged = defaultdict(dict)
    number = 1 if file.suffix == ".csv" else 0
    try:
        for row in _rows(file):
            number += 1
            judged[str(row["query"])][str(row["item_id"])] = (
                1.0 if row.get("grade") in (None, "") else float(row["grade"])
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}, near line {max(number, 1)}: needs query, item_id and a number as grade ({error!r})."
        ) from error
    if not judged:
        raise ConfigError(f"{file} has no judgements; it needs lines with query and item_id.")
    return judged


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        if file.suffix == ".csv":
            yield from csv.DictReader(lines)
        else:
            yield from (json.loads(line) for line in lines if line.strip())


def search_marks(catalogue: "Catalogue", judged: Judged, encoder: "Encoder[str] | None") -> tuple[float, float, float]:
    """NDCG, mean reciprocal rank and recall, means over the queries."""
    import numpy as np

    from encoders.choose import encode_queries
    from recsys.search import SearchQuery, search

    texts = list(judged)
    vectors = encode_queries(encoder, texts) if encoder is not None else [None] * len(texts)
    marks = []
    for text, vector in zip(texts, vectors, strict=True):
        found = [hit.item_id for hit in search(catalogue, SearchQuery(text, vector, n=100))]
        marks.append(_marks(found, judged[text]))
    ndcg, reciprocal_rank, recall = np.mean(marks, axis=0)
    return float(ndcg), float(reciprocal_rank), float(recall)


def _marks(found: list[str], grades: dict[str, float]) -> tuple[float, float, float]:
    import numpy as np

    right = {item for item, grade in grades.items() if grade > 0}
    discounts = 1 / np.log2(np.arange(2, CUT + 2))
    gains = [2 ** grades.get(item, 0.0) - 1 for item in found[:CUT]]
    ideal = sorted((2**grade - 1 for grade in grades.values()), reverse=True)[:CUT]
    best = float(np.dot(ideal, discounts[: len(ideal)]))
    ndcg = float(np.dot(gains, discounts[: len(gains)])) / best if best else 0.0
    first = next((place for place, item in enumerate(found, 1) if item in right), 0)
    recall = len(right.intersection(found[:CUT])) / max(len(right), 1)
    return ndcg, 1 / first if first else 0.0, recall
