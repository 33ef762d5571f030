"""The shop's own rules for every list: boost, bury and exclude what passes a filter, pin a product to a place."""

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from recsys.errors import ConfigError, EventError
from recsys.events import ListItem, Reason
from recsys.filters import Filter, parse_filter
from recsys.item_table import NO_GROUP, ItemTable

Factor = Annotated[float, msgspec.Meta(gt=1.0, le=1000.0)]


class Boost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="boost"):
    """Products that pass the filter have `by` times their score."""

    filter: Filter
    by: Factor = 2.0


class Bury(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="bury"):
    """Products that pass the filter have their score divided by `by`."""

    filter: Filter
    by: Factor = 2.0


class Exclude(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="exclude"):
    """Products that pass the filter are in no list and not in `freshet:trending`; a search still finds them."""

    filter: Filter


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="pin"):
    """A product stands in a place, from 1, of every list, unless its user's own deeds or a hidden flag keep it out."""

    item_id: Annotated[str, msgspec.Meta(min_length=1)]
    place: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


Rule = Boost | Bury | Exclude | Pin


def parse_rules(value: object) -> tuple[Rule, ...]:
    """Rules from decoded JSON or TOML. Raises ConfigError that says what is wrong with which."""
    try:
        rules = msgspec.convert(value, tuple[Rule, ...])
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    for place, rule in enumerate(rules):
        if isinstance(rule, Pin):
            continue
        if rule.filter == Filter():
            raise ConfigError(f"Rule {place} (from 0) would be for every product: its filter asks for nothing")
        try:
            parse_filter(msgspec.to_builtins(rule.filter))
        except EventError as error:
            raise ConfigError(f"Rule {place} (from 0): {error.text}") from error
    return rules


def pinned(
    shown: Sequence[ListItem], pins: Sequence[Pin], items: ItemTable, may_be_shown: Callable[[str], bool], n: int
) -> list[ListItem]:
    """A list with the pinned products in their places, each of them and of their variants once; n items at most."""
    listed = list(shown)
    for pin in pins:
        if not may_be_shown(pin.item_id):
            continue
        row = items.row(pin.item_id)
        group = items.groups[row]
        rows = items.rows([item.item_id for item in listed])
        is_twice = ((rows == row) | ((items.groups[rows] == group) & (group != NO_GROUP))).tolist()
        own = max((item.score for item, twice in zip(listed, is_twice, strict=True) if twice), default=0.0)
        listed = [item for item, twice in zip(listed, is_twice, strict=True) if not twice]
        listed.insert(pin.place - 1, ListItem(pin.item_id, own, False, Reason("pinned")))
    return listed[:n]
