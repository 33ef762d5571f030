"""Who touched what, as the trainer sees it: a bounded fold over clicks, and the matrix of confidences made from it.

The fold keeps per user what `recsys.history` keeps, in 25 bytes an event instead of some 200: the last interactions in
the order of their time, and which event ids were counted.
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.confidence import DAY_MS, ConfidencePolicy
from recsys.errors import SnapshotError
from recsys.events import ACTION_CODE, ACTIONS, Action, Click
from recsys.history import REMEMBERED_EVENTS, short_hash
from recsys.ids import ItemIds
from recsys.types import ItemId

HASH_BYTES = 8


class _User:
    """One user's last interactions, rising in time, and the hashes of the last event ids."""

    __slots__ = ("codes", "events", "items", "times", "values")

    def __init__(self) -> None:
        self.items, self.codes, self.times, self.values = array("i"), array("B"), array("q"), array("f")
        self.events = bytearray()

    def is_new(self, event: bytes) -> bool:
        """Remember an event; False if it was known."""
        place = self.events.find(event)
        while place % HASH_BYTES and place >= 0:  # the end of one hash and the beginning of the next
            place = self.events.find(event, place + 1)
        if place >= 0:
            return False
        self.events += event
        if len(self.events) > REMEMBERED_EVENTS * HASH_BYTES:
            del self.events[:HASH_BYTES]
        return True

    def insert(self, item: int, code: int, ts_ms: int, value: float, size: int) -> None:
        place = bisect_right(self.times, ts_ms)
        self.items.insert(place, item)
        self.codes.insert(place, code)
        self.times.insert(place, ts_ms)
        self.values.insert(place, value)
        if len(self.items) > size:
            del self.items[0], self.codes[0], self.times[0], self.values[0]


@dataclass(frozen=True)
class InteractionArrays:
    """All users' interactions side by side, each user's rising in time; a copy, so any thread may read it.

    Attributes
    ----------
    item_ids : tuple of str
        What `items` number.
    user_ids : tuple of str
        By the time of their last event's arrival.
    lengths, event_lengths : ndarray of int64, shape (n_users,)
        Interactions and remembered events of each user.
    items : ndarray of int32, codes : of uint8, times_ms : of int64, values : of float32, shape (n,)
    events : bytes
        Hashes of event ids, 8 bytes each.
    """

    item_ids: tuple[ItemId, ...]
    user_ids: tuple[str, ...]
    lengths: NDArray[np.int64]
    event_lengths: NDArray[np.int64]
    items: NDArray[np.int32]
    codes: NDArray[np.uint8]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float32]
    events: bytes

    def to_parts(self) -> dict[str, bytes]:
        """The arrays as bytes, little-endian, for `streams.snapshots`."""
        return {
            "ids": msgspec.msgpack.encode((self.item_ids, self.user_ids)),
            "events": self.events,
            **{part: getattr(self, field).astype(kind, copy=False).tobytes() for part, (field, kind) in _PARTS.items()},
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> "InteractionArrays":
        """Read `to_parts` back; SnapshotError when the parts do not fit together."""
        try:
            item_ids, user_ids = msgspec.msgpack.decode(parts["ids"], type=tuple[tuple[str, ...], tuple[str, ...]])
            arrays = {field: np.frombuffer(parts[part], dtype=kind) for part, (field, kind) in _PARTS.items()}
            whole = cls(item_ids=item_ids, user_ids=user_ids, events=parts["events"], **arrays)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise SnapshotError(f"A snapshot of interactions cannot be read: {error}.") from error
        n = int(whole.lengths.sum())
        fits = (
            all(len(column) == n for column in (whole.items, whole.codes, whole.times_ms, whole.values))
            and len(whole.lengths) == len(whole.event_lengths) == len(user_ids)
            and int(whole.event_lengths.sum()) * HASH_BYTES == len(whole.events)
            and (n == 0 or (whole.items.min() >= 0 and whole.items.max() < len(item_ids)))
            and (n == 0 or whole.codes.max() < len(ACTIONS))
        )
        if not fits:
            raise SnapshotError("The parts of a snapshot of interactions do not fit together.")
        return whole


_PARTS = {
    "lengths": ("lengths", "<i8"),
    "event-lengths": ("event_lengths", "<i8"),
    "items": ("items", "<i4"),
    "codes": ("codes", "u1"),
    "times": ("times_ms", "<i8"),
    "values": ("values", "<f4"),
}


class Interactions:
    """The fold: a pure function of the events applied, in their order within each user.

    Parameters
    ----------
    size : int
        Interactions kept for each user, the newest by time, as `HistoryPolicy.size`.
    users_at_most : int
        Beyond it, whoever has been silent for longest by arrival is forgotten; about 6 KB each.
    """

    def __init__(self, size: int = 200, users_at_most: int = 1_000_000) -> None:
        self.size, self.users_at_most = size, users_at_most
        self._users: dict[str, _User] = {}
        self._ids = ItemIds()

    @property
    def n_users(self) -> int:
        return len(self._users)

    def apply(self, click: Click) -> bool:
        """Fold one click in.

        Returns
        -------
        bool
            True if it was new and says something of taste: not a search, an impression or a known event id.
        """
        if not click.item_id or click.type is Action.IMPRESSION:
            return False
        user = self._users.pop(click.user_id, None) or _User()
        self._users[click.user_id] = user
        if len(self._users) > self.users_at_most:
            del self._users[next(iter(self._users))]
        if not user.is_new(short_hash(click.event_id).to_bytes(HASH_BYTES)):
            return False
        user.insert(self._ids.add(click.item_id), ACTION_CODE[click.type], click.ts_ms, click.value, self.size)
        return True

    def arrays(self) -> InteractionArrays:
        """A copy of everything, for a fit or a snapshot; 10 ms for each million interactions."""
        users = list(self._users.values())
        return InteractionArrays(
            item_ids=tuple(self._ids),
            user_ids=tuple(self._users),
            lengths=np.array([len(user.items) for user in users], dtype=np.int64),
            event_lengths=np.array([len(user.events) // HASH_BYTES for user in users], dtype=np.int64),
            items=np.frombuffer(b"".join(user.items for user in users), dtype=np.int32),
            codes=np.frombuffer(b"".join(user.codes for user in users), dtype=np.uint8),
            times_ms=np.frombuffer(b"".join(user.times for user in users), dtype=np.int64),
            values=np.frombuffer(b"".join(user.values for user in users), dtype=np.float32),
            events=b"".join(user.events for user in users),
        )

    @classmethod
    def restored(cls, arrays: InteractionArrays, size: int = 200, users_at_most: int = 1_000_000) -> "Interactions":
        """The fold as it stood when `arrays` was taken."""
        fold = cls(size, users_at_most)
        fold._ids = ItemIds(arrays.item_ids)
        start = event_start = 0
        for user_id, length, events in zip(
            arrays.user_ids, arrays.lengths.tolist(), arrays.event_lengths.tolist(), strict=True
        ):
            user = fold._users[user_id] = _User()
            end, event_end = start + length, event_start + events * HASH_BYTES
            user.items.frombytes(arrays.items[start:end].tobytes())
            user.codes.frombytes(arrays.codes[start:end].tobytes())
            user.times.frombytes(arrays.times_ms[start:end].tobytes())
            user.values.frombytes(arrays.values[start:end].tobytes())
            user.events += arrays.events[event_start:event_end]
            start, event_start = end, event_end
        return fold


def confidence_matrix(
    arrays: InteractionArrays, policy: ConfidencePolicy, now_ms: int
) -> tuple[csr_matrix, tuple[ItemId, ...]]:
    """The matrix that `recsys.als.fit` learns from.

    Parameters
    ----------
    now_ms : epoch milliseconds of event time

    Returns
    -------
    matrix : csr_matrix of float32, shape (n_users, n_items)
        For each user exactly what `ConfidencePolicy.confidences` says of the same history.
    item_ids : tuple of str
        The columns: items that somebody likes. What is only disliked would get factors of zero, which say less than a
        prediction from its content; it is left out.

    Rows and columns are in the order of the ids, so the same interactions give the same matrix however the partitions
    of the log were interleaved.
    """
    weights = np.array([policy.weight(code) for code in range(len(ACTIONS))])[arrays.codes]
    counts = weights != 0.0
    users = np.repeat(_places(arrays.user_ids), arrays.lengths)
    ages_ms = np.maximum(now_ms - arrays.times_ms, 0)
    decay = np.exp2(
        -_ranks(counts, arrays.lengths) / policy.half_life_rank - ages_ms / (policy.half_life_days * DAY_MS)
    )
    amounts = weights * arrays.values * decay
    shape = (len(arrays.user_ids), len(arrays.item_ids))
    sums = csr_matrix(
        (amounts[counts], (users[counts], _places(arrays.item_ids)[arrays.items[counts]])),
        shape=shape,
        dtype=np.float64,
    )
    sums.sum_duplicates()
    sums.data = sums.data + np.sign(sums.data)
    liked = np.unique(sums.indices[sums.data > 0])
    matrix = csr_matrix(sums[:, liked], dtype=np.float32)
    matrix.eliminate_zeros()
    in_order = sorted(arrays.item_ids)
    return matrix, tuple(in_order[column] for column in liked.tolist())


def _places(ids: Sequence[str]) -> NDArray[np.intp]:
    """Where each id stands among all of them, sorted."""
    places = np.empty(len(ids), dtype=np.intp)
    places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return places


def _ranks(counts: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many counted interactions of the same user came later, for each interaction."""
    upto = np.concatenate([[0], np.cumsum(counts)])
    ends = np.repeat(upto[np.cumsum(lengths)], lengths)
    return np.asarray(ends - upto[1:], dtype=np.int64)
