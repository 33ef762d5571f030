"""Some dozens of simulated shoppers with tastes of their own: the demo's events, the same for the same seed.

Each shopper prefers a few categories, colours and brands and a price band; in a session the interest drifts
from one favourite category to the next. A shopper picks from the list shown where something in it fits,
else from the shop; what the shop's shelves gave is where our list can be scored without flattering itself.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES: tuple[str, ...] = (
    "mei", "jonas", "amara", "luca", "sofie", "wei", "priya", "tomas", "hana", "omar", "elif", "noah",
    "yuki", "clara", "mateo", "ingrid", "kofi", "lan", "pablo", "zoe", "ravi", "nora", "igor", "leila",
    "finn", "ayumi", "carlos", "freya", "hugo", "min", "rosa", "sven", "tara", "emil", "xin", "bela",
    "dario", "greta", "ivo", "june",
)  # fmt: skip

K = 10
"""Places of a list that a shopper looks at, and of hit rate@10."""
_REMEMBERS = 60  # products; without forgetting, a demo of hours would run out of things to choose
_FROM_LIST = 0.35  # chance that a shopper looks for the next product in the list; 1 would leave nothing to score
_DRIFT = 0.15  # chance of another interest at each step: a session of ten sees one or two
_SEARCH = 0.08
_READS_ON = 0.7  # chance that a shopper goes on without a new look at the list, so most events are choices
_FITS = 0.9  # a listed product is picked when it suits better than this share of the shop
_POPULARITY_HALF_LIFE_MS = 30 * 60_000
_HITS_KEPT = 500  # the panel shows a moving average of a minute or two; a shorter window makes it jump
_FUNNEL = (("view", 0.75), ("click", 0.35), ("add_to_cart", 0.45), ("purchase", 0.0))
"""Each action with the chance that the next one follows on the same product."""


@dataclass(slots=True)
class HitRates:
    """Of the products that shoppers chose from the shelves, how many stood in a list before the choice."""

    _ours: deque[bool] = field(default_factory=lambda: deque(maxlen=_HITS_KEPT))
    _popular: deque[bool] = field(default_factory=lambda: deque(maxlen=_HITS_KEPT))

    def note(self, *, ours: bool, popular: bool) -> None:
        """Count one choice; both lists are scored on the same ones, what the shopper has chosen left out of both."""
        self._ours.append(ours)
        self._popular.append(popular)

    @property
    def choices(self) -> int:
        """How many choices the rates are made of, 500 at most."""
        return len(self._ours)

    @property
    def ours(self) -> float:
        """Share found in our list's first ten that the shopper had not chosen yet; 0 before the first choice."""
        return sum(self._ours) / max(1, len(self._ours))

    @property
    def popularity(self) -> float:
        """Share found among the ten most popular, decayed by age, that the shopper had not chosen yet."""
        return sum(self._popular) / max(1, len(self._popular))


@dataclass(slots=True)
class _Shopper:
    """One shopper: lasting tastes, and the session going on."""

    user_id: str
    favourites: list[str]
    liking: NDArray[np.float64]
    """float64, shape (n_products,): colours, brands and prices, without the interest of the moment"""
    speaks_chinese: bool
    bought: set[int] = field(default_factory=set)
    looked_at: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERS))
    sessions: int = 0
    steps_left: int = 0
    interest: str = ""
    shown: bool = False
    followed: tuple[int, int, str] | None = None
    """Product, next step of the funnel and placement, while one product is being pursued."""

    @property
    def chosen(self) -> list[int]:
        """Products that are not new to the shopper: bought, or looked at lately."""
        return [*self.bought, *self.looked_at]


class Shoppers:
    """All shoppers of the demo; each call of `next_action` is one event of one of them.

    Parameters
    ----------
    seed : int
        The same seed, products, times and lists give the same events.
    n_users : int
        How many shoppers.
    products : sequence of mappings
        Product messages as the contract has them; all are in the shop unless `open_shelves` says which.
    tastes : int
        Seed of what the shoppers like, so that they stay who they are when events go on with another seed.
    """

    def __init__(
        self, seed: int, n_users: int = 40, *, products: Sequence[Mapping[str, Any]], tastes: int | None = None
    ) -> None:
        self.hits = HitRates()
        self._seed = seed
        self._rng = np.random.default_rng(seed if tastes is None else tastes)
        self._products = [product for product in products if product.get("available", True)]
        self._row = {str(product["item_id"]): row for row, product in enumerate(self._products)}
        self._categories = np.array([_category(product) for product in self._products])
        self._departments = np.array([_department(product) for product in self._products])
        self._appeal = self._rng.pareto(3.0, len(self._products)) + 1.0
        self._popularity = np.zeros(len(self._products))
        self._popularity_ms = 0
        self._count = 0
        self._shoppers = [self._new_shopper(number) for number in range(n_users)]
        activity = self._rng.pareto(4.0, n_users) + 0.5
        self._activity = activity / activity.sum()
        self._is_in_shop = np.ones(len(self._products), dtype=np.bool_)
        if tastes is not None:
            self._rng = np.random.default_rng(seed)

    def open_shelves(self, item_ids: Iterable[str]) -> None:
        """Let shoppers find these products only, until the next call."""
        self._is_in_shop[:] = False
        self._is_in_shop[[row for item_id in item_ids if (row := self._row.get(item_id)) is not None]] = True

    @property
    def user_ids(self) -> list[str]:
        """All shoppers' ids, the same for any seed."""
        return [shopper.user_id for shopper in self._shoppers]

    def next_action(self, now_ms: int, lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The next event, a Click message as the contract has it.

        Parameters
        ----------
        now_ms : int
            Epoch milliseconds; the event's time.
        lists : mapping from user id to item ids, best first
            What each shopper would be shown now; a shopper without a list may be missing.
        """
        shopper = self._shoppers[self._rng.choice(len(self._shoppers), p=self._activity)]
        if shopper.followed is not None:
            return self._follow(shopper, now_ms)
        listed = [row for item_id in lists.get(shopper.user_id, ()) if (row := self._row.get(item_id)) is not None]
        shown = listed[:K]
        if shopper.steps_left == 0:
            self._begin_session(shopper)
        if shown and not shopper.shown:
            shopper.shown = True
            return self._message(shopper, now_ms, "impression", items=self._ids(shown), context={"placement": "home"})
        shopper.steps_left -= 1
        if self._rng.random() < _DRIFT:
            shopper.interest = self._rng.choice(shopper.favourites)
        if self._rng.random() < _SEARCH:
            return self._search(shopper, now_ms)
        row, placement = self._choose(shopper, listed, now_ms)
        shopper.looked_at.append(row)
        shopper.shown = bool(self._rng.random() < _READS_ON)
        shopper.followed = (row, 0, placement)
        return self._follow(shopper, now_ms)

    def _new_shopper(self, number: int) -> _Shopper:
        """A shopper with three or four favourite categories of one or two departments."""
        rng = self._rng
        home = str(rng.choice(self._departments))
        nearby = np.unique(self._categories[self._departments == home])
        favourites = [str(category) for category in rng.permutation(nearby)[:2]]
        favourites += [str(category) for category in rng.choice(np.unique(self._categories), 2)]
        name = NAMES[number % len(NAMES)]
        return _Shopper(
            user_id=name if number < len(NAMES) else f"{name}-{number // len(NAMES) + 1}",
            favourites=favourites,
            liking=self._liking(),
            speaks_chinese=bool(rng.random() < 0.3),
        )

    def _liking(self) -> NDArray[np.float64]:
        """How much one shopper likes each product's colour, brand and price."""
        rng = self._rng
        weight = np.ones(len(self._products))
        for values, n_loved, factor in (
            ([_colour(product) for product in self._products], 3, 4.0),
            ([str(product.get("brand", "")) for product in self._products], 6, 2.5),
        ):
            column = np.array(values)
            loved = rng.permutation(np.unique(column))[:n_loved]
            weight[np.isin(column, loved)] *= factor
        dearness = _dearness([_price(product) for product in self._products], self._categories)
        return np.asarray(weight * np.exp(-2.0 * np.abs(dearness - rng.random())) * self._appeal)

    def _begin_session(self, shopper: _Shopper) -> None:
        shopper.sessions += 1
        shopper.steps_left = int(self._rng.integers(4, 14))
        shopper.interest = self._rng.choice(shopper.favourites)
        shopper.shown = False

    def _wanted(self, shopper: _Shopper) -> NDArray[np.float64]:
        """How much the shopper wants each product just now: float64, shape (n_products,)."""
        interest = np.where(self._categories == shopper.interest, 60.0, 0.2)
        favourite = np.where(np.isin(self._categories, shopper.favourites), 3.0, 1.0)
        wanted = np.asarray(shopper.liking * interest * favourite * self._is_in_shop)
        wanted[shopper.chosen] *= 0.05
        return wanted

    def _choose(self, shopper: _Shopper, listed: list[int], now_ms: int) -> tuple[int, str]:
        """A product from the list shown if something there fits, else from the shelves; and where it stood."""
        wanted = self._wanted(shopper)
        chosen = set(shopper.chosen)
        if listed and self._rng.random() < _FROM_LIST:
            enough = np.quantile(wanted, _FITS)
            fitting = [row for row in listed[:K] if wanted[row] > enough and row not in chosen]
            if fitting:
                return fitting[0], "recommendations"
        row = int(self._rng.choice(len(wanted), p=wanted / wanted.sum()))
        if listed and row not in chosen:
            ours = [other for other in listed if other not in chosen][:K]
            self.hits.note(ours=row in ours, popular=row in self._most_popular(shopper, now_ms))
        return row, "shop"

    def _most_popular(self, shopper: _Shopper, now_ms: int) -> list[int]:
        """The ten products with most decayed interest that this shopper has not chosen yet."""
        self._decay(now_ms)
        fresh = self._popularity.copy()
        fresh[shopper.chosen] = -1.0
        return [int(row) for row in np.argsort(-fresh, kind="stable")[:K]]

    def _decay(self, now_ms: int) -> None:
        age_ms = max(0, now_ms - self._popularity_ms)
        self._popularity *= 0.5 ** (age_ms / _POPULARITY_HALF_LIFE_MS)
        self._popularity_ms = max(now_ms, self._popularity_ms)

    def _follow(self, shopper: _Shopper, now_ms: int) -> dict[str, Any]:
        """The next action on the product that the shopper is after."""
        assert shopper.followed is not None
        row, step, placement = shopper.followed
        action, goes_on = _FUNNEL[step]
        shopper.followed = (row, step + 1, placement) if self._rng.random() < goes_on else None
        if action == "purchase":
            shopper.bought.add(row)
        self._decay(now_ms)
        self._popularity[row] += 1.0
        item_id = str(self._products[row]["item_id"])
        return self._message(shopper, now_ms, action, item_id=item_id, context={"placement": placement})

    def _search(self, shopper: _Shopper, now_ms: int) -> dict[str, Any]:
        """A search for something of the shopper's interest, in the language the shopper speaks."""
        wanted = self._wanted(shopper)
        product = self._products[int(self._rng.choice(len(wanted), p=wanted / wanted.sum()))]
        attributes = product.get("attributes", {})
        if shopper.speaks_chinese and "title_zh" in attributes:
            query = str(attributes["title_zh"]).split()[0]
        else:
            query = " ".join(str(product.get("title", "")).replace(",", "").split()[:3]).lower()
        context = {"query": query or shopper.interest, "placement": "search"}
        return self._message(shopper, now_ms, "search", context=context)

    def _message(self, shopper: _Shopper, now_ms: int, action: str, **more: Any) -> dict[str, Any]:
        self._count += 1
        return {
            # With the time in it, so that a second demo on the same log is not taken for a repetition.
            "event_id": f"demo-{self._seed}-{now_ms}-{self._count}",
            "user_id": shopper.user_id,
            "type": action,
            "ts": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "session_id": f"{shopper.user_id}-{shopper.sessions}",
            **more,
        }

    def _ids(self, rows: list[int]) -> list[str]:
        return [str(self._products[row]["item_id"]) for row in rows]


def _category(product: Mapping[str, Any]) -> str:
    return str((product.get("category") or ["other"])[-1])


def _department(product: Mapping[str, Any]) -> str:
    return str((product.get("category") or ["other"])[0])


def _colour(product: Mapping[str, Any]) -> str:
    return str(product.get("attributes", {}).get("colour", ""))


def _price(product: Mapping[str, Any]) -> float:
    return float((product.get("price") or {"amount": 0.0})["amount"])


def _dearness(prices: list[float], categories: NDArray[np.str_]) -> NDArray[np.float64]:
    """Each price's rank within its category, 0 (cheapest) to 1: float64, shape (n_products,)."""
    values = np.array(prices)
    dearness = np.zeros(len(values))
    for category in np.unique(categories):
        rows = np.flatnonzero(categories == category)
        dearness[rows[np.argsort(values[rows], kind="stable")]] = np.linspace(0.0, 1.0, len(rows))
    return dearness
