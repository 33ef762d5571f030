"""One row of a feed: a product, or why there is none."""

from typing import NamedTuple

from recsys.errors import EventError
from recsys.events import Product


class FeedRow(NamedTuple):
    """A row, counted from 1 without the header; `reason` and `text` are empty when it is a product."""

    row: int
    product: Product | None
    reason: str = ""
    text: str = ""


def refused(row: int, error: EventError) -> FeedRow:
    return FeedRow(row, None, error.reason, error.text)
