"""Lists that a replay owes: while old events pour in, each user gets one list a second, not one a batch.

Who waits for a list is a user's newest event; in a replay that one comes a moment later. The events of an owed list
stay unacknowledged until it is written, so a crash brings them again and with them the list.
"""

from collections.abc import Iterable

PAUSE_MS = 1_000
"""Between two lists of one user during a replay."""


class OwedLists:
    """When users of a replay got their last list, and whom one is owed; wall-clock milliseconds.

    A clock that is put back ends every pause: none lasts until it has caught up.

    Knows only users of the last seconds: whoever is not owed anything is forgotten when the pause is over.
    """

    def __init__(self) -> None:
        self._listed_ms: dict[str, int] = {}
        self._owed: set[str] = set()

    def owe(self, user_id: str, now_ms: int) -> bool:
        """Whether a user's list can wait for the end of the pause; it is owed then."""
        if _is_over(self._listed_ms.get(user_id, -PAUSE_MS), now_ms):
            return False
        self._owed.add(user_id)
        return True

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._owed

    def made(self, user_id: str, now_ms: int) -> None:
        """Note that a user's list is made now: the next may wait."""
        self._owed.discard(user_id)
        self._listed_ms[user_id] = now_ms

    def due(self, now_ms: int, *, all_of_them: bool = False) -> list[str]:
        """Users whose pause is over and whom a list is owed; others whose pause is over are forgotten."""
        over = [user for user, at_ms in self._listed_ms.items() if all_of_them or _is_over(at_ms, now_ms)]
        due = [user for user in over if user in self._owed]
        self._forget(user for user in over if user not in self._owed)
        return due

    def _forget(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            del self._listed_ms[user_id]


def _is_over(listed_ms: int, now_ms: int) -> bool:
    return not 0 <= now_ms - listed_ms < PAUSE_MS
