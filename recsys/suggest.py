"""What a shopper may be about to type: queries, products, and the known spelling of a mistyped word."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.words import surface_words, tokens

LOOKED_AT = 200
"""Products whose titles are read for one suggestion."""
FEWEST_LETTERS = 2
"""A single letter begins too many words to guess from."""
FEWEST_ASKED = 3
"""Times that a query must have been asked before others are shown it."""
MOST_QUERIES = 10_000


@dataclass(frozen=True)
class Suggestions:
    """Whole queries, best first; products; and what a query without an answer was likely meant to be."""

    queries: Sequence[str] = ()
    products: Sequence[Product] = ()
    did_you_mean: str | None = None


class PopularQueries:
    """How often each query was asked; bounded, and what was popular long ago gives way.

    Notes
    -----
    When twice `limit` are known, the less asked half is forgotten and all counts are halved.
    """

    def __init__(self, limit: int = MOST_QUERIES) -> None:
        self._limit = limit
        self._counts: dict[str, float] = {}

    def add(self, text: str) -> None:
        """Count a query that found something."""
        query = _plain(text)
        self._counts[query] = self._counts.get(query, 0.0) + 1
        if len(self._counts) > 2 * self._limit:
            kept = sorted(self._counts.items(), key=lambda asked: -asked[1])[: self._limit]
            self._counts = {query: count / 2 for query, count in kept}

    def beginning(self, typed: str, n: int) -> list[str]:
        """The n most asked that begin so; a millisecond at 10,000."""
        found = [
            (-count, query)
            for query, count in list(self._counts.items())
            if count >= FEWEST_ASKED and query.startswith(typed)
        ]
        return [query for _, query in sorted(found)[:n]]


def suggest(catalogue: Catalogue, text: str, n: int, popular: PopularQueries) -> Suggestions:
    """What the text may become: popular queries first, then words out of titles; n of each kind at most.

    The last word counts as unfinished. Where no product answers, the known spelling is given instead.
    """
    typed = _plain(text)
    head, _, last = typed.rpartition(" ")
    words = list(tokens(head))
    if len(last) < FEWEST_LETTERS and last.isascii():
        return Suggestions()
    found = _beginning(catalogue, words, last)
    counts = Counter(word for product in found for word in set(surface_words(product.title)) if word.startswith(last))
    completed = [f"{head} {word}".strip() for word, _ in sorted(counts.items(), key=lambda held: (-held[1], held[0]))]
    queries = list(dict.fromkeys([*popular.beginning(typed, n), *completed]))[:n]
    products = sorted(found, key=lambda product: (not _plain(product.title).startswith(typed), len(product.title)))[:n]
    return Suggestions(queries, products, None if queries else catalogue.corrected(typed))


def _beginning(catalogue: Catalogue, words: Sequence[str], last: str) -> list[Product]:
    """Products with a word in their title that begins so; known words lack a plural's ending."""
    for beginning in dict.fromkeys((last, *tokens(last), last[:-1])):
        found = catalogue.completing(words, beginning, LOOKED_AT)
        found = [p for p in found if any(word.startswith(last) for word in surface_words(p.title))]
        if found:
            return found
    return []


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
