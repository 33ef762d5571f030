"""Predict each group of events with every method, then have all of them learn it."""

from collections.abc import Callable, Sequence

from recsys.evaluation.figures import Outcomes, Ranks
from recsys.evaluation.order import Replay
from recsys.evaluation.world import Method, World
from recsys.events import Click

OnEvent = Callable[[int, Click], None]
"""Gets each predicted event and its number from 0, after all methods have predicted it and none has learned it."""


def replay(
    log: Replay,
    world: World,
    methods: Sequence[Method],
    *,
    clock: Callable[[], float],
    on_event: OnEvent | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> tuple[Outcomes, dict[str, Ranks]]:
    """Replay a log test-then-learn.

    Parameters
    ----------
    world : in which nothing has been seen
    clock : seconds; for how long each method takes
    advance : told how many events were done

    Returns
    -------
    outcomes : the predicted events
    ranks : by the method's name, one rank for each predicted event
    """
    outcomes, ranks = Outcomes(), {method.name: Ranks() for method in methods}
    n_learned, has_begun = 0, False
    for group in log.groups:
        predicted = group[max(0, log.n_history - n_learned) :]
        if predicted and not has_begun:
            has_begun = True
            for method in methods:
                method.begin()
        if predicted:
            _predict(predicted, world, methods, outcomes, ranks, clock, on_event)
        for method in methods:
            method.expect(group[0].user_id, [click.item_id for click in group])
        for click in group:
            row = world.learn(click)
            for method in methods:
                started = clock()
                method.learn(click, row)
                ranks[method.name].learning_s += clock() - started
                ranks[method.name].n_learned += 1
        n_learned += len(group)
        advance(len(group))
    return outcomes, ranks


def _predict(
    group: Sequence[Click],
    world: World,
    methods: Sequence[Method],
    outcomes: Outcomes,
    ranks: dict[str, Ranks],
    clock: Callable[[], float],
    on_event: OnEvent | None,
) -> None:
    """Predict events of one user that are not learned yet."""
    user_id, item_ids = group[0].user_id, [click.item_id for click in group]
    first = len(outcomes.users)
    for method in methods:
        of_method = ranks[method.name]
        started = clock()
        of_method.ranks += method.predict(user_id, item_ids)
        of_method.predicting_s += clock() - started
        of_method.n_lists += 1
    for place, click in enumerate(group):
        outcomes.add(user_id, knows_user=user_id in world.histories, knows_item=click.item_id in world.items)
        if on_event is not None:
            on_event(first + place, click)
