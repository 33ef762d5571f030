"""Users hashed to variants of how lists are made, and what came of each variant, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from math import sqrt
from typing import Annotated

import msgspec

from recsys.errors import ConfigError
from recsys.list_rules import ListRules

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1_000_000.0)]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Diversity = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]
Limit = Annotated[int, msgspec.Meta(ge=0)]
Z_95 = 1.959964


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How lists of some users are made: as for everybody, but for what is given here; see `ListRules`."""

    name: Name
    share: Share = 1.0
    """Of all users, relative to the other variants' shares."""
    ranker: str | None = None
    diversity: Diversity | None = None
    near_duplicates: Fraction | None = None
    most_per_category: Limit | None = None
    most_per_brand: Limit | None = None

    def rules(self, of_all: ListRules) -> ListRules:
        """The list rules of this variant's users."""
        own = {
            "diversity": self.diversity,
            "near_duplicates": self.near_duplicates,
            "most_per_category": self.most_per_category,
            "most_per_brand": self.most_per_brand,
        }
        return replace(of_all, **{name: value for name, value in own.items() if value is not None})  # type: ignore[arg-type]


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Variants beside each other; another name draws users anew."""

    name: Name
    variants: tuple[Variant, ...]

    @cached_property
    def _bounds(self) -> tuple[float, ...]:
        """Where each variant's users end among numbers from 0 to 1."""
        whole, upto, bounds = sum(variant.share for variant in self.variants), 0.0, []
        for variant in self.variants:
            upto += variant.share
            bounds.append(upto / whole)
        return tuple(bounds)

    def variant_of(self, user_id: str) -> Variant:
        """The user's variant: always the same one, in every process."""
        digest = blake2b(f"{self.name}\n{user_id}".encode(), digest_size=8).digest()
        drawn = int.from_bytes(digest) / 2.0**64
        for variant, bound in zip(self.variants, self._bounds, strict=True):
            if drawn < bound:
                return variant
        return next(variant for variant in reversed(self.variants) if variant.share > 0)

    def named(self, variant: Variant) -> str:
        """How lists name a variant."""
        return f"{self.name}:{variant.name}"


def parse_experiment(value: object, rankers: tuple[str, ...]) -> Experiment:
    """An experiment from decoded JSON or TOML. Raises ConfigError that says what is wrong with it."""
    try:
        experiment = msgspec.convert(value, Experiment)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    names = [variant.name for variant in experiment.variants]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError("an experiment needs two variants or more, each with a name of its own")
    if not sum(variant.share for variant in experiment.variants) > 0:
        raise ConfigError("one variant at least needs a share above 0")
    for variant in experiment.variants:
        if variant.ranker not in (None, *rankers):
            raise ConfigError(f"variant {variant.name} has an unknown ranker {variant.ranker!r}: {', '.join(rankers)}")
    return experiment


@dataclass
class Outcome:
    """What one user of a variant did: choices, those among the first of the list that stood, and how many purchases."""

    choices: int = 0
    hits: int = 0
    bought: int = 0


@dataclass(frozen=True)
class Rate:
    """A share of choices, or an amount a user, with a standard error over users; NaN where there is none."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 %."""
        return self.value - Z_95 * self.error, self.value + Z_95 * self.error

    def over(self, other: "Rate") -> "Rate":
        """By how much it is above another variant's, whose users are others."""
        return Rate(self.value - other.value, sqrt(self.error**2 + other.error**2))


@dataclass(frozen=True)
class Summary:
    """One variant's figures: `hit_rate` is hits by choices, `bought` purchases of what was shown by user."""

    users: int
    choices: int
    hits: int
    hit_rate: Rate
    bought: Rate


def summary(outcomes: Mapping[str, Outcome]) -> Summary:
    """Sum up a variant's users.

    Notes
    -----
    Choices of one user are not independent, users are: the error of a rate is that of a ratio of means over users, by
    the delta method [1]_.

    References
    ----------
    .. [1] A. Deng, U. Knoblich and J. Lu, "Applying the Delta Method in Metric Analytics", KDD 2018.
    """
    users = list(outcomes.values())
    choices, hits = sum(user.choices for user in users), sum(user.hits for user in users)
    hit_rate = _ratio([(user.hits, user.choices) for user in users])
    return Summary(len(users), choices, hits, hit_rate, _ratio([(user.bought, 1) for user in users]))


def _ratio(pairs: list[tuple[int, int]]) -> Rate:
    whole = sum(below for _, below in pairs)
    if not whole:
        return Rate(float("nan"), float("nan"))
    value = sum(above for above, _ in pairs) / whole
    if len(pairs) < 2:
        return Rate(value, float("nan"))
    squares = sum((above - value * below) ** 2 for above, below in pairs)
    return Rate(value, sqrt(squares * len(pairs) / (len(pairs) - 1)) / whole)
