"""The contract's spelling of each message as types, from which the schemas are made; the limits are the parsers'."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from recsys.events import Action
from streams.wire.click_spellings import MAX_POSITION
from streams.wire.limits import (
    MAX_ATTRIBUTES,
    MAX_CATEGORIES,
    MAX_DATA_URI_CHARS,
    MAX_DESCRIPTION_CHARS,
    MAX_ID_CHARS,
    MAX_IMAGES,
    MAX_ITEMS,
    MAX_NAME_CHARS,
    MAX_QUERY_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    MAX_URL_CHARS,
    MAX_VALUE,
)
from streams.wire.product import MAX_PRICE
from streams.wire.times import LAST_MS

NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS, pattern=NO_CONTROLS)]
OptionalId = Annotated[str, Meta(max_length=MAX_ID_CHARS, pattern=NO_CONTROLS)] | None
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
Iri = Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARS, pattern=r"^\S+$")]
Time = Annotated[
    Annotated[datetime, Meta(tz=True)] | Annotated[float, Meta(ge=0, le=LAST_MS)],
    Meta(description="RFC 3339 with a zone, or seconds since 1970, or (above 10^11) milliseconds since 1970."),
]
Image = Annotated[
    str,
    Meta(
        max_length=MAX_DATA_URI_CHARS,
        description=f"An http(s) URL or a path below the media folder (to {MAX_URL_CHARS} characters), or a data: URI.",
    ),
]


class PriceForm(msgspec.Struct):
    """What a product costs."""

    amount: Annotated[float, Meta(ge=0, le=MAX_PRICE, description="In units of the currency, tax included or not.")]
    currency: Annotated[str, Meta(pattern="^[A-Za-z]{3}$", description="ISO 4217.")]


class ProductForm(msgspec.Struct, kw_only=True):
    """One product of the shop."""

    item_id: Annotated[Id, Meta(description="The shop's own id; the record's key.")]
    title: Annotated[str, Meta(max_length=MAX_TITLE_CHARS)] | None = None
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARS)] | None = None
    category: Annotated[list[Name], Meta(max_length=MAX_CATEGORIES, description="Widest first.")] | Name | None = None
    brand: Name | None = None
    price: PriceForm | None = None
    image: (
        Annotated[list[Image], Meta(max_length=MAX_IMAGES, description="The first is the main one.")] | Image | None
    ) = None
    tags: Annotated[list[Name], Meta(max_length=MAX_TAGS)] | Name | None = None
    attributes: Annotated[dict[Name, Name | None], Meta(max_length=MAX_ATTRIBUTES)] | None = None
    available: Annotated[bool | None, Meta(description="False hides the product at once everywhere.")] = True
    created_at: Time | None = None
    group_id: Annotated[OptionalId, Meta(description="Marks variants of one product: one per group in a list.")] = None
    url: Annotated[str, Meta(max_length=MAX_URL_CHARS)] | None = None


class ContextForm(msgspec.Struct, kw_only=True):
    """Where an interaction happened."""

    query: Annotated[str, Meta(max_length=MAX_QUERY_CHARS)] | None = None
    placement: Name | None = None
    position: Annotated[int, Meta(ge=0, le=MAX_POSITION, description="Place in the list, from 0.")] | None = None
    rec_id: Annotated[Name | None, Meta(description="The `rec_id` of the list it was chosen from.")] = None


class ClickForm(msgspec.Struct, kw_only=True):
    """One interaction of a user with a product."""

    event_id: Annotated[
        OptionalId, Meta(description="Counts once among a user's newest 1,024; a hash when missing.")
    ] = None
    user_id: Annotated[Id, Meta(description="The shop's own id; the record's key.")]
    item_id: OptionalId = None
    type: Action
    ts: Annotated[Time | None, Meta(description="When it happened; the record's time stamp when missing.")] = None
    session_id: OptionalId = None
    value: Annotated[float, Meta(ge=0, le=MAX_VALUE, description="Scales the weight of its type.")] | None = 1.0
    context: ContextForm | None = None
    items: (
        Annotated[list[Id], Meta(max_length=MAX_ITEMS, description="Of an impression: what was shown, in order.")]
        | None
    ) = None


class ErasureForm(msgspec.Struct, kw_only=True):
    """Forget this user everywhere."""

    user_id: Annotated[Id, Meta(description="The record's key.")]
    ts: Annotated[
        Time | None, Meta(description="What is older is forgotten; the record's time stamp when missing.")
    ] = None


class CampaignForm(msgspec.Struct, kw_only=True):
    """One sponsored placement."""

    campaign_id: Annotated[Id, Meta(description="The record's key.")]
    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_ITEMS)]
    placement: Name | None = None
    starts_at: Time | None = None
    ends_at: Time
    label: Name | None = None
    advertiser: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
    payer: Annotated[Name | None, Meta(description="Who pays; the advertiser when missing.")] = None
    why: Annotated[str, Meta(max_length=MAX_TITLE_CHARS)] | None = None


class ObjectForm(msgspec.Struct, kw_only=True):
    """An ActivityStreams 2.0 object or actor, with whatever else it has."""

    id: Iri | None = None
    type: str | list[str] | None = None
    user_id: Annotated[OptionalId, Meta(description="Of an actor: the shop's own id of this person.")] = msgspec.field(
        default=None, name="freshet:userId"
    )


class ActivityForm(msgspec.Struct, kw_only=True):
    """An activity in a social app (ActivityStreams 2.0)."""

    type: Literal["Follow", "Like", "Announce", "Create", "Undo", "Delete"] | list[str]
    actor: Annotated[Id | ObjectForm | list[Id | ObjectForm], Meta(description="Its id is the record's key.")]
    object: Iri | ObjectForm | list[Iri | ObjectForm]
    published: Annotated[Time | None, Meta(description="The record's time stamp when missing.")] = None


class OfferForm(msgspec.Struct, kw_only=True):
    """A recommendation for a social app's feed (ActivityStreams 2.0)."""

    context: Literal["https://www.w3.org/ns/activitystreams"] = msgspec.field(name="@context")
    id: Iri
    type: Literal["Offer"]
    actor: Iri
    object: ObjectForm | list[ObjectForm]
    published: datetime


class LinkForm(msgspec.Struct, kw_only=True):
    """Which user of the shop an account of the social app is."""

    actor: Iri
    user_id: Id
