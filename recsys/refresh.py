"""One user's state and the shared views in, a fresh list out, as data: what to store and what to publish."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import msgspec

from recsys.candidates import EVERYTHING, CandidatePolicy, Views, gather, personal
from recsys.confidence import ConfidencePolicy
from recsys.counts import PartitionTrends, TrendsPolicy
from recsys.events import Action, Click, ModelVersions, RecommendationList, Trigger
from recsys.experiments import Experiment
from recsys.history import HistoryPolicy, UserState, fold
from recsys.item_table import ItemTable
from recsys.list_rules import ItemTraits, ListRules
from recsys.rank import BlendPolicy, Filter, Ranked, most_worth_ranking, rank
from recsys.ranker import BLEND, VERSION, RankerWeights
from recsys.ranker_weights import LEARNED
from recsys.tastes import Tastes, tastes
from recsys.versions import Version

CONTEXT_APART = 4
"""The page that a user looks at now says more than that it is one item newer than the last that was touched."""
OWN_ITEMS_AGAIN = 200
"""Own items that are candidates where purchases hide nothing: with 60, HR@100 of invoices falls from .38 to .37."""
USERS_AT_ONCE = 16
"""Users whose candidates lie in the same arrays: these, some 100 KB each, then fit the processor's cache."""
SCRATCH_CELLS = 4_000_000
"""Cells of 8 bytes, one for each user and item, that may be used to tell candidates apart."""


@dataclass(frozen=True)
class RecommendPolicy:
    """Every number that decides a list, in one place."""

    confidence: ConfidencePolicy = field(default_factory=ConfidencePolicy)
    history: HistoryPolicy = field(default_factory=HistoryPolicy)
    trends: TrendsPolicy = field(default_factory=TrendsPolicy)
    candidates: CandidatePolicy = field(default_factory=CandidatePolicy)
    blend: BlendPolicy = field(default_factory=BlendPolicy)
    ranker: str = VERSION
    """What orders the candidates: `VERSION`, or `BLEND` for the fixed weights of `blend`."""
    top_k: int = 50
    rules: ListRules = field(default_factory=ListRules)
    experiment: Experiment | None = None
    variant: str = ""
    """The experiment's, for a policy of some users alone; see `for_user`."""

    def with_seen(self, seen: frozenset[Action]) -> "RecommendPolicy":
        """This policy where these deeds keep an item out of lists; of items bought once more, more are candidates."""
        own_items = self.candidates.own_items if Action.PURCHASE in seen else OWN_ITEMS_AGAIN
        return replace(
            self,
            history=replace(self.history, seen=seen),
            candidates=replace(self.candidates, own_items=own_items),
        )

    @cached_property
    def name(self) -> str:
        """A digest of all of them."""
        return blake2b(msgspec.json.encode(self, order="sorted"), digest_size=4).hexdigest()

    def weights(self, views: Views) -> RankerWeights | None:
        """The ranker's, if one is used: those that this shop has taught, or those that every shop starts with."""
        return None if self.ranker == BLEND else views.ranker or LEARNED

    def traits(self, items: ItemTable) -> ItemTraits | None:
        """Where what the list rules ask of items is kept; None where they ask nothing."""
        if not (self.rules.rules or any(rules.arranges for rules in self.all_rules)):
            return None
        with_content = any(rules.wants_content for rules in self.all_rules)
        return ItemTraits(items, self.rules.rules, with_content=with_content)

    def ranker_name(self, views: Views) -> str:
        """The version that orders lists."""
        weights = self.weights(views)
        return self.ranker if weights is None else weights.version

    @cached_property
    def _variants(self) -> "dict[str, RecommendPolicy]":
        if self.experiment is None:
            return {}
        return {
            variant.name: replace(
                self,
                experiment=None,
                variant=self.experiment.named(variant),
                rules=variant.rules(self.rules),
                ranker=variant.ranker or self.ranker,
            )
            for variant in self.experiment.variants
        }

    @cached_property
    def all_rules(self) -> tuple[ListRules, ...]:
        """The list rules of all variants and of everybody else."""
        return self.rules, *(policy.rules for policy in self._variants.values())

    def for_user(self, user_id: str) -> "RecommendPolicy":
        """The policy of a user's variant; this one without an experiment, and for guests."""
        if self.experiment is None or not user_id:
            return self
        return self._variants[self.experiment.variant_of(user_id).name]


def fold_click(
    state: UserState,
    trends: PartitionTrends,
    click: Click,
    *,
    offset: int,
    epoch: int,
    policy: RecommendPolicy,
) -> bool:
    """Fold one event into its user's state and into its partition's counts, each at most once.

    The counts may lag behind the state after a crash, or the other way round; each knows by itself up to which offset
    it is true, so a redelivery completes whichever lacks the event.

    Returns
    -------
    bool
        True if the user's state counted the event.
    """
    counted = fold(state, click, offset=offset, epoch=epoch, watermark_ms=trends.watermark_ms, policy=policy.history)
    trends.watermark_ms = max(trends.watermark_ms, click.ts_ms)
    count_click(state, trends, click, offset=offset, policy=policy)
    return counted


def count_click(
    state: UserState, trends: PartitionTrends, click: Click, *, offset: int, policy: RecommendPolicy
) -> None:
    """Count an event that the state has folded in, as it stood when the event came."""
    if not click.item_id:
        return
    deed = next((deed for deed in reversed(state.history) if deed.offset == offset), None)
    if deed is not None:
        weight = policy.confidence.weight(deed.action) * deed.value
        if weight > 0:
            earlier = (other for other in reversed(state.history) if other.offset < offset)
            trends.observe(click.item_id, weight, click.ts_ms, offset, earlier)


def rank_for(
    state: UserState,
    views: Views,
    policy: RecommendPolicy,
    *,
    n: int,
    allow: Filter | None = None,
    exclude: Collection[str] = (),
    context_item: str = "",
) -> Ranked:
    """The best n items for a user now, "now" being the event time of the user's newest event.

    Parameters
    ----------
    allow : a further condition on items, such as a category
    context_item : the item whose page the user looks at; never in the list itself
    """
    of_user = tastes([state], views.items, policy.confidence, policy.candidates.limits, context_item)
    # Few of what is popular everywhere may pass a filter, such as a small category.
    popular = views.trends.top_among(allow, policy.candidates.from_trends) if allow is not None else None
    if context_item:
        exclude = {context_item, *exclude}
    candidates = gather(
        of_user,
        personal(of_user, views, policy.candidates),
        [state.seen],
        views,
        policy.candidates,
        most=EVERYTHING if allow is not None or exclude else most_worth_ranking(n),
        popular=popular,
        apart=CONTEXT_APART if context_item else 0,
    )
    ranked = rank(
        candidates,
        views,
        policy.blend,
        n=n,
        seen=[state.seen],
        ranker=policy.weights(views),
        allow=allow,
        exclude=exclude,
        rules=policy.rules,
    )
    return _named(ranked, of_user, views, policy)[0]


def rank_for_each(states: Sequence[UserState], views: Views, policy: RecommendPolicy, *, n: int) -> list[Ranked]:
    """What `rank_for` gives for each of some users, to the last bit, in half the time: arrays hold many users' items.

    Each step is done for many before the next, so its code and data stay in the processor's cache.
    """
    at_once = max(1, min(USERS_AT_ONCE, SCRATCH_CELLS // max(1, len(views.items.ids))))
    ranked: list[Ranked] = []
    for start in range(0, len(states), at_once):
        some = states[start : start + at_once]
        seen = [state.seen for state in some]
        of_users = tastes(some, views.items, policy.confidence, policy.candidates.limits)
        liked = personal(of_users, views, policy.candidates)
        candidates = gather(of_users, liked, seen, views, policy.candidates, most=most_worth_ranking(n))
        weights = policy.weights(views)
        best = rank(candidates, views, policy.blend, n=n, seen=seen, ranker=weights, rules=policy.rules)
        ranked += _named(best, of_users, views, policy)
    return ranked


def rank_for_users(states: Mapping[str, UserState], views: Views, policy: RecommendPolicy, *, n: int) -> list[Ranked]:
    """What `rank_for` gives for each of some users by id, each under the policy of the user's variant."""
    if policy.experiment is None:
        return rank_for_each(list(states.values()), views, policy, n=n)
    users: dict[str, list[str]] = {}
    for user_id in states:
        users.setdefault(policy.for_user(user_id).variant, []).append(user_id)
    ranked: dict[str, Ranked] = {}
    for user_ids in users.values():
        own = rank_for_each([states[user] for user in user_ids], views, policy.for_user(user_ids[0]), n=n)
        ranked |= zip(user_ids, own, strict=True)
    return [ranked[user_id] for user_id in states]


def _named(ranked: Sequence[Ranked], of_users: Tastes, views: Views, policy: RecommendPolicy) -> list[Ranked]:
    """Lists that name the content neighbours they were made with."""
    begins, ends = of_users.recent_bounds[:-1].tolist(), of_users.recent_bounds[1:].tolist()
    compared = policy.candidates.content_items
    ranker = policy.ranker_name(views) if policy.variant else ""
    recent = [of_users.recent_rows[at : min(at + compared, end)] for at, end in zip(begins, ends, strict=True)]
    return [
        Ranked(one.strategy, one.items, views.neighbour_rows.name(rows), policy.variant, ranker)
        for one, rows in zip(ranked, recent, strict=True)
    ]


def make_list(
    user_id: str, state: UserState, ranked: Ranked, views: Views, *, partition: int | None, generated_at: str
) -> RecommendationList:
    """Dress a ranked list as the contract has it; `partition` None for a list that no event triggered."""
    version = str(Version(state.epoch, max(state.offset, 0), state.revision))
    of = views.named() if views.named else ModelVersions(views.factors.version if views.factors else None, VERSION)
    trigger = None
    if partition is not None and state.trigger_offset >= 0 and not state.revision:
        trigger = Trigger(state.trigger_event, state.trigger_offset, partition)
    return RecommendationList(
        version=version,
        user_id=user_id,
        rec_id=blake2b(f"{user_id}\n{version}".encode(), digest_size=10).hexdigest(),
        generated_at=generated_at,
        strategy=ranked.strategy,
        trigger=trigger,
        model=ModelVersions(
            of.als,
            ranked.ranker or of.ranker,
            of.trends,
            of.catalog,
            ranked.neighbours or None,
            of.retrieval,
            of.policy,
        ),
        items=ranked.items,
        variant=ranked.variant or msgspec.UNSET,
    )
