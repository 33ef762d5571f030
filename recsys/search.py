"""Products that answer a query of words, picture or both; and products that are like a product."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from recsys.catalogue import Catalogue, SearchPlan
from recsys.filters import Filter
from recsys.index.aim import nearest, total
from recsys.index.live import Hits, Part
from recsys.types import ItemId, Vector

WORDS_WEIGHT = 0.75
"""What holding all of the query's words adds to the cosine.

Known-item search in 3,600 real titles (UCI Online Retail, MiniLM), mean reciprocal rank for two words of a title, and
for three with one mistyped: words alone .72 and .91, vectors alone .62 and .65; together .69 and .86 at a weight of .5,
.69 and .89 at this. Higher gains nothing there, and at 2 the category's name finds fewer of its kind among groceries.
"""
FUSED_WEIGHTS: Mapping[Part, float] = {"text": 0.25, "image": 0.75}
"""Of the two cosines where a picture and a text are searched by together: what a picture shows is seldom said in words.

Right product of 81 for a photo with the name of its category, of its department ("fruit"), its title (R@1, validation
photos): .83, .48, .98 at these weights and `WORDS_BESIDE_A_PICTURE`, .78, .30, .99 at equal ones and `WORDS_WEIGHT`;
the photo alone .50 (`python -m benchmarks.search_fusion`). Between .1 and .4 little changes, with one picture a product
or five, so nothing is learned of the shop here.
"""
WORDS_BESIDE_A_PICTURE = 0.25
"""Takes the place of `WORDS_WEIGHT` there: a word that half the shop holds must not push aside what the picture shows.
"""
SIMILAR_WEIGHTS: Mapping[Part, float] = {"text": 0.75, "image": 0.25}
"""What is like a product: mean average precision of its category among 81 groceries is .93 at these, .91 at a fifth and
.87 at equal weights (title and description, `python -m benchmarks.search_marks`)."""
SPARE = 24
"""Hits fetched beyond those wanted, since variants of one product take only one place; too few cost a second scan."""


class SearchHit(msgspec.Struct, frozen=True):
    """One product found; scores compare within one answer only."""

    item_id: str
    score: float


@dataclass(frozen=True)
class SearchQuery:
    """What is searched: any of text, its vector and a picture's vector, cut by a filter."""

    text: str = ""
    """Matched by words; its meaning is in `text_vector`."""
    text_vector: Vector | None = None
    """float32, shape (dim,): the text as the shop's text encoder sees it."""
    image_vector: Vector | None = None
    """float32, shape (dim,): the picture as the shop's image encoder sees it."""
    image_origin: Vector | None = None
    """float32, shape (dim,): the mean of pictures that are searched by, where it is known."""
    filter: Filter | None = None
    n: int = 10
    exclude: Collection[ItemId] = ()

    @property
    def parts(self) -> dict[Part, Vector]:
        given: Mapping[Part, Vector | None] = {"text": self.text_vector, "image": self.image_vector}
        return {part: vector for part, vector in given.items() if vector is not None}

    @property
    def origins(self) -> dict[Part, Vector]:
        return {} if self.image_origin is None else {"image": self.image_origin}


def search(catalogue: Catalogue, query: SearchQuery) -> list[SearchHit]:
    """The n best visible products that pass the filter, best first; equal scores in order of item id.

    The score is the cosine (see `LiveIndex`), of both parts by `FUSED_WEIGHTS`, plus `WORDS_WEIGHT` times the share of
    the query that the product's words answer (`WORDS_BESIDE_A_PICTURE` where a picture is searched by). Of products
    with the same `group_id`, only the best is in the answer. A query of nothing finds nothing.

    Raises DimensionError for a vector of another encoder than the catalogue's.
    """
    plan = catalogue.plan(text=query.text, wanted=query.filter, exclude=query.exclude)
    wanted = query.n + SPARE
    while True:
        hits = _fused(plan, query, wanted)
        best = _one_of_each_group(catalogue, hits)
        if len(best) >= query.n or len(hits) < wanted:
            return [SearchHit(item_id, score) for item_id, score in best[: query.n]]
        wanted *= 4


def _fused(plan: SearchPlan, query: SearchQuery, k: int) -> Hits:
    """The k best by cosine and words together."""
    words = np.zeros(len(plan.allowed), dtype=np.float32)
    words[plan.word_rows] = plan.word_scores
    words_weight = WORDS_WEIGHT if query.image_vector is None else WORDS_BESIDE_A_PICTURE
    aims = plan.index.aims(query.parts, FUSED_WEIGHTS, query.origins)
    near, _ = nearest(aims, k, plan.allowed)
    by_words = plan.word_rows[np.lexsort((plan.word_rows, -plan.word_scores))[:k]]
    rows = np.union1d(near, by_words)
    scores = total(aims, rows) + np.float32(words_weight) * words[rows]
    hits = [(plan.index.ids[row], float(score)) for row, score in zip(rows, scores, strict=True)]
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]


def similar(
    catalogue: Catalogue,
    item_id: ItemId,
    n: int,
    filter: Filter | None = None,
    weights: Mapping[Part, float] = SIMILAR_WEIGHTS,
) -> list[SearchHit]:
    """The n visible products whose content is most like an item's, best first, its own variants left out.

    Empty for an item without vectors; O(catalogue): see `NeighbourCache` for the click path.
    """
    own = catalogue.get(item_id)
    group_id = "" if own is None else own.group_id
    plan = catalogue.plan(wanted=filter, exclude=(item_id,))
    k = n + SPARE
    while True:
        hits = plan.index.like(item_id, k, plan.allowed, weights)
        best = _one_of_each_group(catalogue, hits, {group_id} - {""})
        if len(best) >= n or len(hits) < k:
            return [SearchHit(found, score) for found, score in best[:n]]
        k *= 4


def _one_of_each_group(catalogue: Catalogue, hits: Hits, seen: Collection[str] = ()) -> Hits:
    """Hits that are still visible, without all but the best variant of each product."""
    groups = set(seen)
    kept = []
    for item_id, score in hits:
        product = catalogue.get(item_id)
        if product is None or not product.available or product.group_id in groups:
            continue
        if product.group_id:
            groups.add(product.group_id)
        kept.append((item_id, score))
    return kept
