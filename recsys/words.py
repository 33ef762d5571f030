"""Search by words, item ids and words with a typing mistake, in any script.

It serves until vectors come, and where no encoder knows the language or the brand.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from itertools import islice, takewhile

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from recsys.events import Product
from recsys.index.postings import Postings
from recsys.types import ItemRow, Rows, Vector

K1 = 1.2
"""How soon repeating a word stops counting (BM25's usual value)."""
B = 0.5
"""How much long texts are held back; 1 punishes good descriptions, 0 favours stuffed ones."""
FIELD_WEIGHTS: Mapping[str, float] = {"title": 3.0, "brand": 2.0, "category": 2.0, "tags": 2.0, "rest": 1.0}
"""A word in the title counts as three in the description."""
WORD_FIELDS = ("title", "description", "brand", "category", "tags", "attributes")
MAX_QUERY_TOKENS = 64
"""Of a query; the rest is left out, so that a pasted page cannot hold a search up."""

FEWEST_LETTERS = 4
"""A shorter word is as near to many others as to the one that was meant."""
TWO_MISTAKES_FROM = 8
"""Letters from which a word may have two mistakes."""
MOST_MEANT = 3
"""Known words that an unknown one may stand for."""
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUNS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W_{_CJK}]+)*")
_IS_CJK = re.compile(f"[{_CJK}]")


def tokens(text: str) -> Iterator[str]:
    """Words in casefold without a plural s; Chinese, Japanese and Korean runs as characters and pairs of them.

    >>> list(tokens("Rote STRASSE, 红苹果 Berries XL-5"))
    ['rote', 'strasse', '红', '苹', '果', '红苹', '苹果', 'berry', 'xl', '5']
    """
    for run in _RUNS.findall(text.casefold()):
        if not _IS_CJK.match(run):
            yield _singular(run)
            continue
        yield from run
        yield from (run[at : at + 2] for at in range(len(run) - 1))


def surface_words(text: str) -> list[str]:
    """Words as they are written, in casefold; runs of Chinese, Japanese and Korean whole.

    >>> surface_words("Rote STRASSE, 红苹果 Berries")
    ['rote', 'strasse', '红苹果', 'berries']
    """
    return _RUNS.findall(text.casefold())


def names_of(text: str) -> set[str]:
    """What of a query may be an item id: all of it, and words that are no words of a language."""
    pieces = text.casefold().split()[:MAX_QUERY_TOKENS]
    coded = {piece for piece in pieces if len(piece) >= FEWEST_LETTERS and any(map(str.isdigit, piece))}
    return {text.strip().casefold()} | coded


def _singular(word: str) -> str:
    """The S-stemmer of D. Harman, "How Effective Is Suffixing?", JASIS 1991: three rules that do no harm elsewhere."""
    if len(word) <= 3 or not word.endswith("s"):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word if word.endswith(("us", "ss")) else word[:-1]


def weighted_tokens(product: Product) -> dict[str, float]:
    """How often each word stands in a product's texts, weighted by where."""
    rest = (product.description, *(f"{name} {value}" for name, value in product.attributes.items()))
    fields: dict[str, Iterable[str]] = {
        "title": (product.title,),
        "brand": (product.brand,),
        "category": product.category,
        "tags": product.tags,
        "rest": rest,
    }
    counts: dict[str, float] = {}
    for field, texts in fields.items():
        for text in texts:
            for token in tokens(text):
                counts[token] = counts.get(token, 0.0) + FIELD_WEIGHTS[field]
    return counts


def same_words(one: Product, other: Product) -> bool:
    """Whether two states of a product are found by the same words, as after a change of price."""
    return all(getattr(one, field) == getattr(other, field) for field in WORD_FIELDS)


class WordIndex:
    """An inverted index over products, kept right under putting and removing.

    Not safe for threads by itself; the catalogue holds its lock around it.
    """

    def __init__(self) -> None:
        self._postings: Postings[str] = Postings()
        self._item_ids: Postings[str] = Postings()
        self._tokens: dict[ItemRow, tuple[str, ...]] = {}
        """Each row's words, and last its item id in casefold."""
        self._lengths = np.zeros(0, dtype=np.float32)
        self._total_length = 0.0
        self._known: list[str] = []
        """All words in order but for those in `_fresh`; some may have gone."""
        self._fresh: list[str] = []

    def put(self, row: ItemRow, product: Product) -> None:
        """Index a product's texts, in place of what the row held before."""
        self.remove(row)
        counts = weighted_tokens(product)
        item_id = product.item_id.casefold()
        self._fresh += [token for token in counts if not self._postings.count(token)]
        for token, count in counts.items():
            self._postings.add(token, row, count)
        self._item_ids.add(item_id, row)
        self._tokens[row] = (*counts, item_id)
        self._set_length(row, sum(counts.values()))

    def remove(self, row: ItemRow) -> None:
        *words, item_id = self._tokens.pop(row, ("",))
        for token in words:
            self._postings.remove(token, row)
        if item_id:
            self._item_ids.remove(item_id, row)
        self._set_length(row, 0.0)

    def search(self, text: str) -> tuple[Rows, Vector]:
        """Rows that hold any of the words, and how much of the query they answer, in (0, 1]; unordered.

        A word that no product holds stands for the known ones that differ from it by a mistake or two, at a discount. A
        product whose id is the query, or a word of it with a digit, answers it whole.

        Notes
        -----
        BM25 over weighted counts, divided by what a text saturated with every word of the query would have: unlike
        BM25's own scale it compares between queries and can be added to a cosine.

        References
        ----------
        .. [1] S. Robertson, H. Zaragoza, M. Taylor, "Simple BM25 Extension to Multiple Weighted Fields", CIKM 2004.
        """
        asked = list(dict.fromkeys(tokens(text)))[:MAX_QUERY_TOKENS]
        mean_length = self._total_length / max(len(self._tokens), 1) or 1.0
        scores = np.zeros(len(self._lengths), dtype=np.float32)
        best = 0.0
        for token in asked:
            meant = {token: 1.0} if self._postings.count(token) else self.meant_by(token)
            parts = [self._part(word, share, mean_length) for word, share in meant.items()]
            best += max((most for _, _, most in parts), default=self._rarity(0) * (K1 + 1))
            of_token = np.zeros(len(scores), dtype=np.float32)
            for rows, part, _ in parts:
                of_token[rows] = np.maximum(of_token[rows], part)
            scores += of_token
        scores /= np.float32(best or 1.0)
        for name in names_of(text):
            scores[self._item_ids.rows(name)] = 1
        found = np.flatnonzero(scores)
        return found, scores[found]

    def meant_by(self, word: str) -> dict[str, float]:
        """Known words that an unknown word may stand for, with how surely, in (0, 1]; about 2 ms at 20,000 words.

        References
        ----------
        .. [1] F. J. Damerau, "A Technique for Computer Detection and Correction of Spelling Errors", CACM 1964: four of
           five mistakes are one letter wrong, missing, too many, or two swapped.
        """
        if len(word) < FEWEST_LETTERS or not word.isalpha() or _IS_CJK.match(word):
            return {}
        mistakes = 2 if len(word) >= TWO_MISTAKES_FROM else 1
        found = process.extract(word, self._words(), scorer=OSA.distance, score_cutoff=mistakes, limit=None)
        near = [(known, distance) for known, distance, _ in found if self._postings.count(known)]
        near.sort(key=lambda meant: (meant[1], -self._postings.count(meant[0]), meant[0]))
        return {known: 1 - distance / len(word) for known, distance in near[:MOST_MEANT]}

    def corrected(self, text: str) -> str | None:
        """The text with each word that no product holds replaced by the known one it stands for; None if none is."""
        written = surface_words(text)[:MAX_QUERY_TOKENS]
        likely = [self._likely(word) for word in written]
        return None if likely == written else " ".join(likely)

    def knows_all(self, text: str) -> bool:
        """Whether each word of a text stands in some product."""
        return all(map(self._is_known, surface_words(text)))

    def _likely(self, word: str) -> str:
        return word if self._is_known(word) else next(iter(self.meant_by(word)), word)

    def _is_known(self, word: str) -> bool:
        return any(self._postings.count(token) for token in tokens(word))

    def completions(self, beginning: str, limit: int) -> list[str]:
        """Known words that begin so, those in most products first."""
        known = self._words()
        found = takewhile(lambda word: word.startswith(beginning), islice(known, bisect_left(known, beginning), None))
        held = [word for word in found if self._postings.count(word)]
        return nlargest(limit, held, key=lambda word: (self._postings.count(word), word))

    def rows_of(self, word: str) -> Rows:
        """intp, shape (n,): rows that hold a word."""
        return self._postings.rows(word).astype(np.intp)

    def _words(self) -> list[str]:
        """All known words in order, and some that are no more; 5 ms at 100,000 words where there are new ones."""
        if self._fresh:
            self._known, self._fresh = list(dict.fromkeys(sorted(self._known + self._fresh))), []
            if len(self._known) > 2 * len(self._postings):
                self._known = [word for word in self._known if self._postings.count(word)]
        return self._known

    def _part(self, word: str, share: float, mean_length: float) -> tuple[Rows, Vector, float]:
        """Rows that hold a word, what it adds to the score of each, and what it would add to one saturated with it."""
        rows, counts = self._postings.rows(word), self._postings.weights(word)
        most = self._rarity(len(rows)) * (K1 + 1)
        held_back = K1 * (1 - B + B * self._lengths[rows] / mean_length)
        return rows.astype(np.intp), (share * most * counts / (counts + held_back)).astype(np.float32), most

    def _rarity(self, n_rows: int) -> float:
        return math.log(1 + (len(self._tokens) - n_rows + 0.5) / (n_rows + 0.5))

    def renumber(self, kept: Rows) -> None:
        """Let row `kept[i]` be row i; the rest must be empty."""
        new_rows = np.full(len(self._lengths), -1, dtype=np.int32)
        inside = kept < len(new_rows)
        new_rows[kept[inside]] = np.flatnonzero(inside)
        self._postings.renumber(new_rows)
        self._item_ids.renumber(new_rows)
        self._tokens = {ItemRow(int(new_rows[row])): words for row, words in self._tokens.items()}
        lengths = np.zeros(len(kept) + 1024, dtype=np.float32)
        lengths[np.flatnonzero(inside)] = self._lengths[kept[inside]]
        self._lengths = lengths

    def _set_length(self, row: ItemRow, length: float) -> None:
        if row >= len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros(max(1024, row + 1), dtype=np.float32)])
        self._total_length += length - float(self._lengths[row])
        self._lengths[row] = length
