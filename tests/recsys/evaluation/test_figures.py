"""Ranks to figures."""

from math import log2

import numpy as np
import pytest

from recsys.evaluation.figures import Bootstrap, Outcomes, Ranks, column, table


def test_hit_rate_and_ndcg_of_ranks():
    ranks = [1.0, 10.0, 10.5, 100.0, 101.0, None]

    assert column(ranks, "HR@10").tolist() == [1, 1, 0, 0, 0, 0]
    assert column(ranks, "HR@100").tolist() == [1, 1, 1, 1, 0, 0]
    assert column(ranks, "NDCG@10").tolist() == pytest.approx([1.0, 1 / log2(11), 0, 0, 0, 0])


def test_figures_by_group_add_up_to_all():
    outcomes, ranks = Outcomes(), Ranks([1.0, None, 3.0, None])
    for knows_user, knows_item in ((True, True), (True, False), (False, True), (False, False)):
        outcomes.add("ann", knows_user=knows_user, knows_item=knows_item)

    found = table(outcomes, ranks)
    assert {group: figures["events"] for group, figures in found.items()} == {
        "all": 4,
        "known": 1,
        "new user": 1,
        "new item": 2,
    }
    assert (found["all"]["HR@10"], found["known"]["HR@10"], found["new item"]["HR@10"]) == (0.5, 1.0, 0.0)


def test_the_interval_is_of_users_not_of_events():
    """Ninety events of one user say as much of other users as one does."""
    hits = np.array([1.0] * 90 + [0.0] * 10)
    one_user, many_users = Bootstrap(["ann"] * 90 + ["bob"] * 10), Bootstrap([str(n) for n in range(100)])

    wide, narrow = one_user.interval(hits), many_users.interval(hits)
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])
    assert narrow[0] < 0.9 < narrow[1]
