"""The search filter of the contract: parsed strictly, and evaluated over all products at once."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np

from recsys.errors import EventError
from recsys.events import Product
from recsys.ids import ItemIds
from recsys.index.mutable import Mask
from recsys.index.postings import Postings
from recsys.types import ItemRow, Rows

Values = Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)]


class PriceRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both ends included; amounts are compared as they are, whatever the currency."""

    gte: float | None = None
    lte: float | None = None


class ItemChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"in_": "in"}):
    """Only these products; never those."""

    in_: Values = ()
    not_in: Values = ()


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a product must be; every member given must hold, any one of a member's values will do.

    An empty list restricts nothing. Products that are hidden never pass, so `available: false` lets nothing through.
    """

    category: Values = ()
    """At any level of the product's own path."""
    brand: Values = ()
    price: PriceRange = PriceRange()
    available: bool | None = None
    attributes: dict[str, str | Values] = {}
    item_id: ItemChoice = ItemChoice()

    def matches(self, product: Product) -> bool:
        """Whether one product passes; `FilterIndex.mask` says the same of all at once."""
        return (
            product.available
            and self.available is not False
            and (not self.category or not set(self.category).isdisjoint(product.category))
            and (not self.brand or product.brand in self.brand)
            and self._price_matches(product)
            and all(product.attributes.get(name) in _values(value) for name, value in self._asked_attributes())
            and (not self.item_id.in_ or product.item_id in self.item_id.in_)
            and product.item_id not in self.item_id.not_in
        )

    def _price_matches(self, product: Product) -> bool:
        if self.price == PriceRange():
            return True
        amount = float("nan") if product.price is None else product.price.amount
        low, high = _ends(self.price)
        return low <= amount <= high

    def _asked_attributes(self) -> list[tuple[str, str | Values]]:
        return [(name, value) for name, value in self.attributes.items() if value != ()]


def parse_filter(value: Mapping[str, Any] | None) -> Filter | None:
    """A filter from decoded JSON; None where nothing is asked. Raises EventError `invalid-filter`."""
    if not value:
        return None
    try:
        parsed = msgspec.convert(value, Filter)
    except msgspec.ValidationError as error:
        raise EventError("invalid-filter", f"The filter cannot be used: {error}.") from error
    low, high = _ends(parsed.price)
    if not low <= high:
        raise EventError("invalid-filter", f"The filter's price.gte {low} is above its price.lte {high}.")
    return parsed


class FilterIndex:
    """Rows by category, brand and attribute, and a column of prices.

    Not safe for threads by itself; the catalogue holds its lock around it.
    """

    def __init__(self) -> None:
        self._rows: Postings[tuple[str, ...]] = Postings()
        self._prices = np.zeros(0, dtype=np.float64)

    def put(self, row: ItemRow, product: Product) -> None:
        """Note a product whose row is empty here."""
        for value in _facets(product):
            self._rows.add(value, row)
        if row >= len(self._prices):
            self._prices = np.concatenate([self._prices, np.full(max(1024, row + 1), np.nan)])
        self._prices[row] = np.nan if product.price is None else product.price.amount

    def remove(self, row: ItemRow, product: Product) -> None:
        """Forget the product that `put` noted in the row."""
        for value in _facets(product):
            self._rows.remove(value, row)
        self._prices[row] = np.nan

    def renumber(self, kept: Rows) -> None:
        """Let row `kept[i]` be row i; the rest must be empty."""
        new_rows = np.full(len(self._prices), -1, dtype=np.int32)
        inside = kept < len(new_rows)
        new_rows[kept[inside]] = np.flatnonzero(inside)
        self._rows.renumber(new_rows)
        prices = np.full(len(kept) + 1024, np.nan)
        prices[np.flatnonzero(inside)] = self._prices[kept[inside]]
        self._prices = prices

    def categories(self) -> dict[str, int]:
        """Every category with the number of its products, hidden ones included."""
        return {value[1]: self._rows.count(value) for value in self._rows if value[0] == "category"}

    def mask(self, wanted: Filter, ids: ItemIds, visible: Mask) -> Mask:
        """bool, shape (n_rows,): visible rows that pass the filter."""
        mask = visible.copy()
        if wanted.available is False:
            mask[:] = False
        choices: list[list[tuple[str, ...]]] = [[("category", value) for value in wanted.category]]
        choices.append([("brand", value) for value in wanted.brand])
        choices += [[("attribute", name, one) for one in _values(value)] for name, value in wanted.attributes.items()]
        for values in choices:
            if values:
                mask &= self._any_of(values, len(mask))
        if wanted.price != PriceRange():
            low, high = _ends(wanted.price)
            prices = self._prices[: len(mask)]
            mask[: len(prices)] &= (prices >= low) & (prices <= high)
            mask[len(prices) :] = False
        if wanted.item_id.in_:
            chosen = np.zeros_like(mask)
            chosen[ids.rows(wanted.item_id.in_)] = True
            mask &= chosen
        mask[ids.rows(wanted.item_id.not_in)] = False
        return mask

    def _any_of(self, values: list[tuple[str, ...]], n_rows: int) -> Mask:
        mask = np.zeros(n_rows, dtype=np.bool_)
        for value in values:
            mask[self._rows.rows(value)] = True
        return mask


def _facets(product: Product) -> set[tuple[str, ...]]:
    facets: set[tuple[str, ...]] = {("category", value) for value in product.category}
    facets |= {("attribute", name, value) for name, value in product.attributes.items()}
    return facets | ({("brand", product.brand)} if product.brand else set())


def _values(value: str | Values) -> Values:
    return (value,) if isinstance(value, str) else value


def _ends(price: PriceRange) -> tuple[float, float]:
    low = float("-inf") if price.gte is None else price.gte
    high = float("inf") if price.lte is None else price.lte
    return low, high
