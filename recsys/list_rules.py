"""What a list as a whole must be, whoever it is for: varied, nothing twice, and as the shop's own rules want it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.events import Product
from recsys.item_table import ItemTable
from recsys.shop_rules import Boost, Bury, Pin, Rule
from recsys.signatures import WORDS, Signatures, similarity
from recsys.types import Rows, Vector

Amounts = NDArray[np.float64]
NO_CODE = 0
"""Of a product without a category, or without a brand: of these there may be any number."""
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class ListRules:
    """What is asked of each list; by default nothing.

    Attributes
    ----------
    diversity : 0 to 1
        How much each next item is chosen for being unlike those before it instead of for its score; see `arranged`.
    near_duplicates : 0 to 1
        Similarity of content from which of two items only the better one is in a list; 0: none is left out.
    most_per_category, most_per_brand : int
        Items of one category (its whole path) or brand in a list at most; 0: any number. A list of one category alone,
        or with any other filter, has no such limit.
    rules : the shop's own
    """

    diversity: float = 0.0
    near_duplicates: float = 0.0
    most_per_category: int = 0
    most_per_brand: int = 0
    rules: tuple[Rule, ...] = ()

    @cached_property
    def wants_content(self) -> bool:
        """Whether it matters what items are like."""
        return self.diversity > 0.0 or self.near_duplicates > 0.0

    @cached_property
    def has_limits(self) -> bool:
        return self.most_per_category > 0 or self.most_per_brand > 0

    @cached_property
    def arranges(self) -> bool:
        """Whether the best n items are not simply those with the highest scores."""
        return self.wants_content or self.has_limits

    @cached_property
    def pins(self) -> tuple[Pin, ...]:
        """By rising place."""
        return tuple(sorted((rule for rule in self.rules if isinstance(rule, Pin)), key=lambda pin: pin.place))

    @cached_property
    def weighs(self) -> bool:
        """Whether scores are multiplied."""
        return any(isinstance(rule, Boost | Bury) for rule in self.rules)


class ItemTraits:
    """What rules ask of items, by row of an `ItemTable`: worked out when a product comes, read when a list is made.

    Parameters
    ----------
    with_content : keep signatures of what items are like, 33 bytes each
    """

    def __init__(self, items: ItemTable, rules: tuple[Rule, ...] = (), *, with_content: bool = False) -> None:
        self._items, self._rules = items, [rule for rule in rules if not isinstance(rule, Pin)]
        self._factors = np.ones(1024)
        self._categories, self._brands = np.zeros(1024, dtype=np.int32), np.zeros(1024, dtype=np.int32)
        self._codes: dict[tuple[str, ...], int] = {(): NO_CODE}
        self.signatures = Signatures() if with_content else None

    def describe(self, product: Product) -> bool:
        """Take a product's newest fields; returns False where a rule excludes it."""
        row = self._row(product.item_id)
        self._categories[row] = self._code(("category", *product.category)) if product.category else NO_CODE
        self._brands[row] = self._code(("brand", product.brand)) if product.brand else NO_CODE
        factor, is_listed = 1.0, True
        for rule in self._rules:
            if rule.filter.matches(product):
                if isinstance(rule, Boost):
                    factor *= rule.by
                elif isinstance(rule, Bury):
                    factor /= rule.by
                else:
                    is_listed = False
        self._factors[row] = factor
        return is_listed

    def resemble(self, item_id: str, text: Vector | None, image: Vector | None) -> None:
        """Take an item's newest vectors, where signatures are kept."""
        if self.signatures is not None:
            self.signatures.put(self._row(item_id), text, image)

    def factors(self, rows: Rows) -> Amounts:
        """What scores are multiplied by; float64, shape (n,)."""
        self._make_room()
        return self._factors[rows]

    def codes(self, rows: Rows) -> NDArray[np.int32]:
        """Categories and brands by code, `NO_CODE` where there is none; int32, shape (2, n)."""
        self._make_room()
        return np.stack((self._categories[rows], self._brands[rows]))

    def _code(self, name: tuple[str, ...]) -> int:
        return self._codes.setdefault(name, len(self._codes))

    def _row(self, item_id: str) -> int:
        row = self._items.row(item_id)
        self._make_room()
        return row

    def _make_room(self) -> None:
        n_items = len(self._items.ids)
        if n_items > len(self._factors):
            added = max(len(self._factors), n_items - len(self._factors))
            self._factors = np.concatenate([self._factors, np.ones(added)])
            nothing = np.zeros(added, dtype=np.int32)
            self._categories = np.concatenate([self._categories, nothing])
            self._brands = np.concatenate([self._brands, nothing])


def arranged(rows: Rows, scores: Amounts, traits: ItemTraits, rules: ListRules, n: int) -> Rows:
    """Choose the items of one list from its candidates.

    Parameters
    ----------
    rows, scores : the candidates that may be shown, best first; scores above 0
    n : items at most

    Returns
    -------
    ndarray of intp, shape (at most n,)
        Places in `rows`, in the order of the list.

    Notes
    -----
    Maximal marginal relevance [1]_: each next item is the one with the largest (1 - diversity) · score / best score -
    diversity · similarity, similarity being that to whichever item before it is most alike. O(n · candidates): 0.1 ms
    for 50 of 256.

    References
    ----------
    .. [1] J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
       Producing Summaries", SIGIR 1998.
    """
    if traits.signatures is not None and rules.wants_content:
        kinds, signatures = traits.signatures.of(rows)
    else:
        kinds, signatures = np.zeros(len(rows), dtype=np.int8), np.zeros((len(rows), WORDS), dtype=np.uint64)
    most = np.array([rules.most_per_category or _NO_LIMIT, rules.most_per_brand or _NO_LIMIT])
    scaled = scores / max(scores.max(initial=0.0), 1e-300)
    chosen: Rows = _chosen(
        scaled, kinds, signatures, traits.codes(rows), most, n, rules.diversity, rules.near_duplicates or 2.0
    )
    return chosen


@compiled
def _chosen(
    scores: Amounts,
    kinds: NDArray[np.int8],
    signatures: NDArray[np.uint64],
    codes: NDArray[np.int32],
    most: NDArray[np.int64],
    n: int,
    diversity: float,
    duplicate_from: float,
) -> Rows:
    n_given = len(scores)
    is_out = np.zeros(n_given, dtype=np.bool_)
    likeness = np.zeros(n_given)
    taken = np.zeros(codes.shape, dtype=np.int64)
    chosen = np.empty(min(n, n_given), dtype=np.intp)
    n_chosen = 0
    while n_chosen < len(chosen):
        best, highest = -1, -np.inf
        for place in range(n_given):
            if not is_out[place]:
                value = (1.0 - diversity) * scores[place] - diversity * likeness[place]
                if value > highest:
                    best, highest = place, value
                if diversity == 0.0:  # they stand in the order of their scores
                    break
        if best < 0:
            break
        chosen[n_chosen] = best
        n_chosen += 1
        is_out[best] = True
        for place in range(n_given):
            if is_out[place]:
                continue
            for kind in range(len(codes)):
                if codes[kind, best] != NO_CODE and codes[kind, place] == codes[kind, best]:
                    taken[kind, place] += 1
                    if taken[kind, place] >= most[kind]:
                        is_out[place] = True
            if kinds[best] != 0 and kinds[place] == kinds[best]:
                alike = similarity(signatures[place], signatures[best])
                likeness[place] = max(likeness[place], alike)
                if alike >= duplicate_from:
                    is_out[place] = True
    return chosen[:n_chosen]


class RoomLeft:
    """Whether more items may join a list without breaking its limits or coming twice."""

    def __init__(self, rows: Rows, traits: ItemTraits, rules: ListRules) -> None:
        self._traits, self._rules = traits, rules
        self._rows = rows.tolist()

    def has(self, row: int) -> bool:
        """Whether an item may join; it has joined then."""
        rows = np.array([row, *self._rows], dtype=np.intp)
        limits = self._rules.most_per_category, self._rules.most_per_brand
        for codes, most in zip(self._traits.codes(rows), limits, strict=True):
            if most and codes[0] != NO_CODE and np.count_nonzero(codes[1:] == codes[0]) >= most:
                return False
        if self._rules.near_duplicates and self._traits.signatures is not None:
            kinds, bits = self._traits.signatures.of(rows)
            alike = (similarity(bits[0], bits[place]) for place in np.flatnonzero(kinds[1:] == kinds[0]) + 1)
            if kinds[0] and any(cosine >= self._rules.near_duplicates for cosine in alike):
                return False
        self._rows.append(row)
        return True
