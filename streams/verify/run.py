"""All comparisons, in order: offsets are fixed first, then everything is read up to them."""

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from recsys.history import short_hash
from streams import topics
from streams.apps import app_id
from streams.clock import wall_clock_ms
from streams.log.base import Log, Record
from streams.log.ranges import chunks
from streams.policy import recommend_policy
from streams.reference import Place
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import RedisStore
from streams.until_stopped import running
from streams.verify.clicks import Bounds, ClicksCheck
from streams.verify.lists import ListsCheck
from streams.verify.products import ProductsCheck
from streams.verify.report import Report

READ = (
    topics.CLICKS,
    topics.PRODUCTS,
    topics.USER_STATE,
    topics.RECOMMENDATIONS,
    topics.TRENDS,
    topics.CATALOG,
    topics.DEAD_LETTERS,
)


class Fixed(NamedTuple):
    """The offsets up to which a deployment is compared."""

    clicks: Bounds
    products: Bounds

    def n_records(self) -> int:
        """Messages of the shop that will be folded."""
        return sum(self.clicks.acknowledged.values()) + sum(self.products.acknowledged.values())


async def fix(log: Log, settings: Settings) -> Fixed:
    """Look how far everything is now: first what was acknowledged, then what that had led to by then."""
    prefix = settings.topic_prefix
    clicks = await log.committed(app_id(settings, "recommend"), prefix + topics.CLICKS)
    products = await log.committed(app_id(settings, "embed"), prefix + topics.PRODUCTS)
    ends = {prefix + topic: await log.end_offsets(prefix + topic) for topic in READ}
    return Fixed(Bounds(clicks, ends), Bounds(products, ends))


async def verify(
    settings: Settings,
    log: Log,
    store: RedisStore,
    fixed: Fixed,
    n_lists: int,
    advance: Callable[[int], None] = lambda n: None,
) -> Report:
    """Compare a deployment with what its log must have led to.

    Parameters
    ----------
    n_lists : users whose lists are made again, picked by the hash of their ids; 0 for all
    """
    report, prefix, policy = Report(), settings.topic_prefix, recommend_policy(settings)
    await _note(report, log, fixed, prefix)
    letters = await _letters(log, prefix, fixed)
    letters_begin = await log.beginning_offsets(prefix + topics.DEAD_LETTERS)
    may_be_gone = any(letters_begin.values())
    n_users = sum(fixed.clicks.ends[prefix + topics.USER_STATE].values())
    share = 1.0 if n_lists == 0 or n_users <= n_lists else n_lists / n_users
    clicks = ClicksCheck(
        log,
        store,
        prefix,
        fixed.clicks,
        policy,
        report,
        letters[prefix + topics.CLICKS],
        may_be_gone,
        partial(_is_picked, share),
        advance,
        wall_clock_ms(),
    )
    for number in sorted(fixed.clicks.ends[prefix + topics.CLICKS]):
        await clicks.run(number)
    refused = letters[prefix + topics.PRODUCTS]
    await ProductsCheck(log, store, prefix, fixed.products, report, refused, may_be_gone, advance).run()
    views = SharedViews(settings, log, policy, name=None)
    async with running(views.run()):
        await views.wait_caught_up()
        await views.wait_factors()
    records = await _trends(log, prefix, fixed)
    ListsCheck(views, policy, records, report["list contents"]).run(clicks.lists)
    return report


def _is_picked(share: float, user_id: str) -> bool:
    return share >= 1.0 or short_hash(user_id) < share * 2**64


async def _note(report: Report, log: Log, fixed: Fixed, prefix: str) -> None:
    for topic, bounds in ((prefix + topics.CLICKS, fixed.clicks), (prefix + topics.PRODUCTS, fixed.products)):
        behind = sum(bounds.ends[topic].values()) - sum(bounds.acknowledged.values())
        if behind:
            report.notes.append(f"{behind} messages of {topic} were not acknowledged yet and are not compared.")
    begin = sum((await log.beginning_offsets(prefix + topics.CLICKS)).values())
    if begin:
        report.notes.append(
            f"{begin} clicks are no longer in the topic: their users are compared from the newest state of that time."
        )


async def _letters(log: Log, prefix: str, fixed: Fixed) -> dict[str, set[Place]]:
    found: dict[str, set[Place]] = {prefix + topics.CLICKS: set(), prefix + topics.PRODUCTS: set()}
    topic = prefix + topics.DEAD_LETTERS
    for partition, end in fixed.clicks.ends[topic].items():
        async for records in chunks(log, topic, partition, 0, end):
            for record in records:
                letter = json.loads(record.value or b"{}")
                if letter.get("topic") in found:
                    found[letter["topic"]].add(Place(letter["partition"], letter["offset"]))
    return found


async def _trends(log: Log, prefix: str, fixed: Fixed) -> dict[int, list[Record]]:
    topic = prefix + topics.TRENDS
    return {
        partition: [record async for records in chunks(log, topic, partition, 0, end) for record in records]
        for partition, end in sorted(fixed.clicks.ends[topic].items())
    }
