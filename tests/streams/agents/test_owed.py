"""Lists of users of a replay: at most one each second, the last one always."""

from streams.agents.owed import PAUSE_MS, OwedLists

NOW_MS = 1_000_000


def test_the_first_list_of_a_user_does_not_wait():
    assert not OwedLists().owe("ann", NOW_MS)


def test_a_list_within_the_pause_is_owed_and_due_at_its_end():
    owed = OwedLists()
    owed.made("ann", NOW_MS)

    assert owed.owe("ann", NOW_MS + 1)
    assert "ann" in owed
    assert owed.due(NOW_MS + PAUSE_MS - 1) == []
    assert owed.due(NOW_MS + PAUSE_MS) == ["ann"]
    assert not owed.owe("ann", NOW_MS + PAUSE_MS), "its time has come"


def test_a_list_that_was_made_is_owed_no_more():
    owed = OwedLists()
    owed.made("ann", NOW_MS)
    owed.owe("ann", NOW_MS + 1)
    owed.made("ann", NOW_MS + 2)

    assert "ann" not in owed
    assert owed.due(NOW_MS + 2 * PAUSE_MS) == []


def test_before_a_stop_all_that_is_owed_is_due():
    owed = OwedLists()
    owed.made("ann", NOW_MS)
    owed.owe("ann", NOW_MS + 1)

    assert owed.due(NOW_MS + 2, all_of_them=True) == ["ann"]


def test_users_who_are_owed_nothing_are_forgotten_after_the_pause():
    owed = OwedLists()
    for number in range(100):
        owed.made(f"u-{number}", NOW_MS)
    owed.due(NOW_MS + PAUSE_MS)

    assert owed._listed_ms == {}


def test_a_clock_that_is_put_back_holds_no_list_up():
    """What waits for it is not acknowledged; an hour later the watchdog would long have ended the worker."""
    owed = OwedLists()
    owed.made("ann", NOW_MS)
    owed.owe("ann", NOW_MS + 1)
    owed.made("bob", NOW_MS)

    assert owed.due(NOW_MS - 3_600_000) == ["ann"]
    assert not owed.owe("bob", NOW_MS - 3_600_000)
