"""Campaigns: sponsored placements, marked as such wherever they are shown."""

import msgspec

from recsys.errors import EventError
from streams.log.base import Headers
from streams.wire.cloud_events import read_headers
from streams.wire.keys import UNKEYED, Key, check_key
from streams.wire.limits import MAX_ITEMS, MAX_NAME_CHARS, MAX_TITLE_CHARS, check_id
from streams.wire.reading import Fields, decode_object
from streams.wire.times import read_time, rfc3339


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One advertiser's items for one placement and time; the end is not part of it."""

    campaign_id: str
    item_ids: tuple[str, ...]
    placement: str
    starts_at_ms: int
    ends_at_ms: int
    label: str
    advertiser: str
    payer: str
    """Who pays, where that is not the advertiser; else the advertiser."""
    why: str
    """The main reasons for showing it, in words for the shopper."""


def parse_campaign(value: bytes, *, key: Key = UNKEYED, headers: Headers = (), record_ts_ms: int) -> Campaign:
    """The campaign of a message (not of a tombstone); without `starts_at` it starts with its record.

    Raises
    ------
    EventError
        As `parse_click`; `out-of-range` when it ends before it starts.
    """
    if headers:
        read_headers(headers)
    fields = Fields(decode_object(value))
    campaign_id = fields.id("campaign_id")
    item_ids = fields.texts("item_ids", most=MAX_ITEMS, limit=MAX_NAME_CHARS)
    advertiser = fields.text("advertiser", limit=MAX_NAME_CHARS)
    for name, part in (("campaign_id", campaign_id), ("item_ids", item_ids), ("advertiser", advertiser)):
        if not part:
            raise EventError("missing-field", f"{name} is missing.")
    campaign = Campaign(
        campaign_id=campaign_id,
        item_ids=tuple(check_id("item_ids", item_id) for item_id in item_ids),
        placement=fields.text("placement", limit=MAX_NAME_CHARS),
        starts_at_ms=_time(fields, "starts_at", record_ts_ms),
        ends_at_ms=_time(fields, "ends_at", None),
        label=fields.text("label", limit=MAX_NAME_CHARS),
        advertiser=advertiser,
        payer=fields.text("payer", limit=MAX_NAME_CHARS) or advertiser,
        why=fields.text("why", limit=MAX_TITLE_CHARS),
    )
    if campaign.ends_at_ms <= campaign.starts_at_ms:
        raise EventError("out-of-range", "ends_at must lie after starts_at.")
    check_key("campaign_id", campaign_id, key)
    return campaign


def encode_campaign(campaign: Campaign) -> bytes:
    """The message of a campaign, in the contract's spelling."""
    message = msgspec.structs.asdict(campaign)
    for name in ("starts_at", "ends_at"):
        message[name] = rfc3339(message.pop(f"{name}_ms"))
    return msgspec.json.encode(message)


def _time(fields: Fields, name: str, default: int | None) -> int:
    _, value = fields.find((name,))
    if value is not None:
        return read_time(name, value)
    if default is None:
        raise EventError("missing-field", f"{name} is missing.")
    return default
