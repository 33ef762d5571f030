"""What one user did: bounded, each event counted once, true up to one offset of the log."""

from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from recsys.deeds import DeedArray
from recsys.errors import StateError
from recsys.events import ACTION_CODE, Action, Click

SCHEMA = 1
REMEMBERED_EVENTS = 1_024
"""An event id counts once among so many events of its user, however long they take; 14 bytes each."""
SEEN_AT_MOST = 8_192
"""Bought and hidden products that a user's lists leave out; the oldest is forgotten beyond."""


class Interaction(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One deed of a user with one product: its kind by code, a factor for its weight, its place in the log.

    Unknown to the garbage collector, as it is never part of a cycle: millions of them would hold up clicks for seconds.
    """

    item_id: str
    action: int
    ts_ms: int
    value: float
    offset: int


class UserState(msgspec.Struct, array_like=True, dict=True):
    """Everything that Freshet keeps of one user; a fold over exactly one partition of `clicks`.

    `history` rises in time; `events` maps hashes of recent event ids to their time, oldest arrival first; `seen` maps
    hashes of the products to leave out to the time of the deed. `offset` is the place of the newest message folded
    in, `watermark_ms` the partition's event time just after it.
    """

    schema: int = SCHEMA
    epoch: int = 0
    offset: int = -1
    revision: int = 0
    watermark_ms: int = 0
    history: list[Interaction] = []
    events: dict[int, int] = {}
    seen: dict[int, int] = {}
    trigger_event: str = ""
    trigger_offset: int = -1
    queries: list[str] = []

    def deed_array(self, table: object) -> DeedArray:
        """The history as an array, items by the rows of a table; kept for the next time, no part of the state."""
        held: DeedArray | None = self.__dict__.get("deeds")
        if held is None or held.history is not self.history or held.table is not table:
            held = self.__dict__["deeds"] = DeedArray(self.history, table)
        return held


@dataclass(frozen=True)
class HistoryPolicy:
    """How much of a user is kept, and which deeds keep a product out of the user's lists."""

    size: int = 200
    seen: frozenset[Action] = frozenset({Action.PURCHASE, Action.HIDE, Action.DISLIKE})
    queries: int = 5


def short_hash(text: str) -> int:
    """Eight bytes that stand for an id: two of a user's thousands collide once in 10^12."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


MAKES_NO_LIST = frozenset({Action.IMPRESSION, Action.SEARCH})


def fold(state: UserState, click: Click, *, offset: int, epoch: int, watermark_ms: int, policy: HistoryPolicy) -> bool:
    """Fold one event into its user's state, in place.

    Parameters
    ----------
    state : the user's state, changed in place
    offset, epoch : where the event stands in the log; at or below the state's own, it has been folded in already
    watermark_ms : the partition's event time before this event

    Returns
    -------
    bool
        True if the event counted: it is no redelivery and no duplicate of an earlier event id.
    """
    if (epoch, offset) <= (state.epoch, state.offset):
        return False
    state.epoch, state.offset = epoch, offset
    state.watermark_ms = max(state.watermark_ms, watermark_ms, click.ts_ms)
    event = short_hash(click.event_id)
    if event in state.events:
        return False
    state.events[event] = click.ts_ms
    if len(state.events) > REMEMBERED_EVENTS:
        del state.events[next(iter(state.events))]
    if click.item_id and click.type is not Action.IMPRESSION:
        deed = Interaction(click.item_id, ACTION_CODE[click.type], click.ts_ms, click.value, offset)
        _insert(state, deed, policy.size)
    if click.type in policy.seen:
        for item_id in click.items or (click.item_id,):
            _mark_seen(state.seen, short_hash(item_id), click.ts_ms)
    if click.type is Action.SEARCH and click.context.query:
        state.queries = [*state.queries, click.context.query][-policy.queries :]
    if click.type not in MAKES_NO_LIST:
        state.trigger_event, state.trigger_offset = click.event_id, offset
    return True


def _insert(state: UserState, interaction: Interaction, size: int) -> None:
    """Keep the history rising in time: a late event takes its own place, after those of the same time."""
    history = state.history
    place = len(history)
    while place and history[place - 1].ts_ms > interaction.ts_ms:
        place -= 1
    if place < len(history):
        state.__dict__.pop("deeds", None)
    history.insert(place, interaction)
    if len(history) > size:
        del history[0]
        if (held := state.__dict__.get("deeds")) is not None:
            held.dropped()


def _mark_seen(seen: dict[int, int], item: int, ts_ms: int) -> None:
    if item not in seen and len(seen) >= SEEN_AT_MOST:
        del seen[next(iter(seen))]
    seen[item] = max(ts_ms, seen.get(item, 0))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(UserState).decode


def encode_state(state: UserState) -> bytes:
    """The state as it stands in the changelog and in Redis: the same state gives the same bytes."""
    return _encode(state)


def decode_state(packed: bytes) -> UserState:
    """Read a state back; StateError when it is damaged or of a newer form."""
    try:
        state = _decode(packed)
    except msgspec.MsgspecError as error:
        raise StateError(f"A user state cannot be read: {error}.") from error
    if state.schema > SCHEMA:
        raise StateError(f"A user state has form {state.schema}, this release reads up to {SCHEMA}: upgrade first.")
    return state
