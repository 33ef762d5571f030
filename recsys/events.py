"""What happened and what came of it, as plain values: already checked, one spelling each.

`streams.wire` makes these from messages (GA4, Segment and our own spellings) and writes them back;
the core only ever sees these.
"""

from enum import StrEnum

import msgspec


class Action(StrEnum):
    """The kinds of interaction, by the contract's names."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    LIKE = "like"
    SHARE = "share"
    COMMENT = "comment"
    SEARCH = "search"
    HIDE = "hide"
    DISLIKE = "dislike"
    REMOVE_FROM_CART = "remove_from_cart"
    RETURN = "return"


ACTIONS: tuple[Action, ...] = tuple(Action)
"""Every kind by its code; stored states hold codes, so the order above only ever grows at its end."""
ACTION_CODE: dict[Action, int] = {action: code for code, action in enumerate(ACTIONS)}


class Price(msgspec.Struct, frozen=True):
    """What a product costs; `currency` is an ISO 4217 code."""

    amount: float
    currency: str


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product as the shop describes it; times in epoch milliseconds."""

    item_id: str
    title: str = ""
    description: str = ""
    category: tuple[str, ...] = ()
    brand: str = ""
    price: Price | None = None
    images: tuple[str, ...] = ()
    """http(s) URLs, `data:` URIs or paths below the media folder; the first is the main one."""
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    available: bool = True
    created_at_ms: int | None = None
    group_id: str = ""
    url: str = ""


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an interaction happened: what was searched, which list, which slot of it."""

    query: str = ""
    placement: str = ""
    position: int | None = None
    rec_id: str = ""


class Click(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interaction of a user; `item_id` is empty for a search, `items` only set for an impression."""

    event_id: str
    user_id: str
    item_id: str = ""
    type: Action
    ts_ms: int
    session_id: str = ""
    value: float = 1.0
    context: Context = Context()
    items: tuple[str, ...] = ()


class Reason(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """Why an item is in a list: `because_you_viewed` names the item, the others stand alone.

    Kinds: `because_you_viewed`, `for_you`, `often_together`, `similar`, `trending`, `new`, `pinned`.
    """

    kind: str
    item_id: str = ""


class ListItem(msgspec.Struct, frozen=True, gc=False):
    """One place of a recommendation list; scores only compare within one list."""

    item_id: str
    score: float
    sponsored: bool
    reason: Reason


class Trigger(msgspec.Struct, frozen=True):
    """The event that a list answers, and where it stands in the log."""

    event_id: str
    offset: int
    partition: int


class ModelVersions(msgspec.Struct, frozen=True):
    """Every view that a list was made from, so that it can be made again; None for what took no part.

    `als` and `ranker` are versions. `trends` and `catalog` say up to where their topics were read: the next offset of
    each partition; after `/` in `trends`, where popularity was sorted last, if that was earlier; after `+` in `catalog`
    how many products still waited for their factors. `neighbours` has a digest of the content neighbours of each of the
    user's newest items, `-` for an item whose were not known yet. `retrieval` is `exact`, or `sealed-N` when N items
    are found by a quantised index; `policy` a digest of the settings.
    """

    als: str | None
    ranker: str | None
    trends: str | None = None
    catalog: str | None = None
    neighbours: str | None = None
    retrieval: str | None = None
    policy: str | None = None


class RecommendationList(msgspec.Struct, frozen=True):
    """One user's list: the same JSON in Redis, on the topic and from the API; `version` stays first."""

    version: str
    user_id: str
    rec_id: str
    generated_at: str
    strategy: str
    trigger: Trigger | None
    model: ModelVersions
    items: tuple[ListItem, ...]
    variant: str | msgspec.UnsetType = msgspec.UNSET
    """`EXPERIMENT:VARIANT` for a user who takes part in one, else left out."""
