"""Lists made again from the state and the views that they name, where these can still be had."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from recsys.candidates import Views
from recsys.counts import decode_trend
from recsys.errors import StateError
from recsys.events import ListItem, RecommendationList
from recsys.neighbours import ExactNeighbours
from recsys.refresh import RecommendPolicy, rank_for_users
from recsys.trends import Trends
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Record
from streams.shared_views import SharedViews
from streams.verify.clicks import Listed
from streams.verify.report import Check
from streams.wire.lists import decode_list

SCORES_WITHIN = 1e-4
"""Scores are sums that another processor may round otherwise; the order of a list must be the same."""

Offsets = tuple[int, ...]


@dataclass
class _Counts:
    """The summed counts as some reader had them: fed from the topic up to one position after another."""

    views: SharedViews
    policy: RecommendPolicy
    records: dict[int, list[Record]]

    def __post_init__(self) -> None:
        self.trends = Trends(self.views.items, self.policy.trends)
        self.at: list[int] = [0] * len(self.records)
        self.sorted_at: Offsets = tuple(self.at)
        self._next = [0] * len(self.records)

    def go_to(self, counts: Offsets, is_sorted_at: Offsets) -> bool:
        """False for positions that lie behind."""
        if is_sorted_at != self.sorted_at:
            if not self._feed(is_sorted_at):
                return False
            self.trends.refresh()
            self.sorted_at = is_sorted_at
        return self._feed(counts)

    def _feed(self, to: Offsets) -> bool:
        if len(to) != len(self.at) or any(wanted < at for wanted, at in zip(to, self.at, strict=True)):
            return False
        for partition, wanted in enumerate(to):
            records = self.records[partition]
            while self._next[partition] < len(records) and records[self._next[partition]].offset < wanted:
                record = records[self._next[partition]]
                self._next[partition] += 1
                if record.value is not None and record.key != COUNTED_TO_KEY:
                    self.trends.put(partition, (record.key or b"").decode(), decode_trend(record.value))
            self.at[partition] = wanted
        return True


@dataclass(frozen=True)
class ListsCheck:
    """Makes lists again. `trends` holds that topic's records by partition, up to fixed offsets."""

    views: SharedViews
    policy: RecommendPolicy
    trends: dict[int, list[Record]]
    check: Check
    advance: Callable[[int], None] = lambda n: None

    def run(self, lists: Sequence[Listed]) -> None:
        """Compare all of them."""
        waiting = sorted(self._comparable(lists), key=lambda one: (sum(one[0][0]), sum(one[0][1])))
        neighbours = ExactNeighbours(self.views.catalogue)
        while waiting:
            # Readers follow the topic each at their own pace: what lies behind one's position is another's.
            counts, behind = _Counts(self.views, self.policy, self.trends), []
            given = self.views
            views = Views(
                given.items, counts.trends, given.factors, neighbours, ranker=given.ranker, traits=given.traits
            )
            for at, listed, made in waiting:
                if counts.go_to(*at):
                    self._compare(listed, made, views)
                    self.advance(1)
                else:
                    behind.append((at, listed, made))
            if len(behind) == len(waiting):
                self.check.leave_out("their counts cannot be had", len(behind))
                return
            waiting = behind

    def _comparable(
        self, lists: Sequence[Listed]
    ) -> Iterator[tuple[tuple[Offsets, Offsets], Listed, RecommendationList]]:
        views = self.views.now()
        present = views.named() if views.named is not None else None
        whole = {partition: _unbroken(records) for partition, records in self.trends.items()}
        ends = {partition: records[-1].offset + 1 if records else 0 for partition, records in self.trends.items()}
        for listed in lists:
            try:
                made = decode_list(listed.value)
            except StateError as error:
                self.check.same(False, f"{listed.where}, {listed.user_id}: {error}")
                continue
            names, why = made.model, ""
            at = _positions(names.trends)
            if present is None or names.policy != present.policy:
                why = "they were made under other settings or by another release"
            elif names.ranker != self.policy.for_user(listed.user_id).ranker_name(views):
                why = "another ranker is in use by now, or another release"
            elif names.als != present.als or names.retrieval != present.retrieval:
                why = "another model is in use by now"
            elif names.catalog != present.catalog:
                why = "the catalogue has changed since, or new products waited for their factors"
            elif at is None or len(at[0]) != len(self.trends):
                why = "they name no counts"
            elif not all(
                upto <= whole[partition] or upto == ends[partition]
                for positions in at
                for partition, upto in enumerate(positions)
            ):
                why = "counts of that time have been compacted away"
            if why or at is None:
                self.check.leave_out(why)
                self.advance(1)
            else:
                yield at, listed, made

    def _compare(self, listed: Listed, made: RecommendationList, views: Views) -> None:
        (ranked,) = rank_for_users({listed.user_id: listed.state}, views, self.policy, n=self.policy.top_k)
        if (ranked.neighbours or None) != made.model.neighbours:
            self.check.leave_out("content neighbours were not known yet, or others were")
            return
        problem = _difference(made.items, ranked.items)
        if not problem and (made.variant or "") != ranked.variant:
            problem = f"its variant is {made.variant or 'none'}, expected {ranked.variant or 'none'}"
        if not problem and made.strategy != ranked.strategy:
            problem = f"its strategy is {made.strategy}, expected {ranked.strategy}"
        self.check.same(not problem, f"{listed.where}, {listed.user_id} at {made.version}: {problem}.")


def _positions(name: str | None) -> tuple[Offsets, Offsets] | None:
    """Where the counts stood and where they were sorted; None for no name of ours."""
    counts, _, is_sorted_at = (name or "").partition("/")
    try:
        at = tuple(map(int, counts.split(".")))
        return at, tuple(map(int, is_sorted_at.split("."))) if is_sorted_at else at
    except ValueError:
        return None


def _unbroken(records: Sequence[Record]) -> int:
    """Up to which offset no record is missing from the beginning on."""
    return next((place for place, record in enumerate(records) if record.offset != place), len(records))


def _difference(found: Sequence[ListItem], expected: Sequence[ListItem]) -> str:
    for place, (one, other) in enumerate(zip(found, expected, strict=False), start=1):
        if (one.item_id, one.reason) != (other.item_id, other.reason):
            return f"place {place} is {one.item_id} ({one.reason.kind}), expected {other.item_id} ({other.reason.kind})"
        if abs(one.score - other.score) > SCORES_WITHIN:
            return f"the score of place {place} is {one.score}, expected {other.score}"
    return "" if len(found) == len(expected) else f"it has {len(found)} items, expected {len(expected)}"
