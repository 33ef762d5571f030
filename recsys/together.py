"""What goes together with a product: the part of behaviour in what is like it, and what complements it."""

from collections.abc import Sequence

from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.search import SearchHit
from recsys.types import ItemId

TOGETHER_WEIGHT = 0.5
"""What going together always with a product adds to the cosine of content."""


def partners(item_id: ItemId, views: Views) -> dict[ItemId, float]:
    """What shoppers touched near a product, with the cosine of both (see `Trends.partners`), strongest first."""
    items = views.items
    related, cosines = views.trends.partners(items.rows([item_id]))
    found = zip(related[0].tolist(), cosines[0].tolist(), strict=True)
    return {items.ids[row]: cosine for row, cosine in found if cosine > 0}


def alike(
    hits: Sequence[SearchHit], n: int, item_id: ItemId, views: Views, weight: float = TOGETHER_WEIGHT
) -> list[SearchHit]:
    """The n best of what `recsys.search.similar` found, those first that shoppers also touch together with the item."""
    near = partners(item_id, views)
    scored = [SearchHit(hit.item_id, hit.score + weight * near.get(hit.item_id, 0.0)) for hit in hits]
    return sorted(scored, key=lambda hit: (-hit.score, hit.item_id))[:n]


def complements(item_id: ItemId, n: int, views: Views, catalogue: Catalogue) -> list[SearchHit]:
    """The n visible products that go with one most often, its own variants left out; empty where nobody knows any.

    Another product of the same category stands in its place rather than beside it, and comes after all others.
    """
    own = catalogue.get(item_id)
    groups = set() if own is None or not own.group_id else {own.group_id}
    beside: list[SearchHit] = []
    instead: list[SearchHit] = []
    for partner, cosine in partners(item_id, views).items():
        product = catalogue.get(partner)
        if product is None or not product.available or product.group_id in groups:
            continue
        if product.group_id:
            groups.add(product.group_id)
        (instead if _same_kind(own, product) else beside).append(SearchHit(partner, cosine))
    return [*beside, *instead][:n]


def _same_kind(own: Product | None, other: Product) -> bool:
    return own is not None and bool(own.category) and own.category == other.category
