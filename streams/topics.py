"""The topics of the contract and our own: names, partitions, cleanup and retention."""

from dataclasses import replace

from streams.log.base import TopicSpec
from streams.settings import Settings

DAY_MS = 86_400_000

PRODUCTS = "products"
CLICKS = "clicks"
ACTIVITIES = "activities"
CAMPAIGNS = "campaigns"
ERASURES = "erasures"
RECOMMENDATIONS = "recommendations"
FEED = "feed"
DEAD_LETTERS = "dead-letters"
SERVED = "served"
LINKS = "links"
CATALOG = "catalog"
"""Partitioned as `products`; keys `f:ITEM` (fields and flags) and `v:ITEM` (vectors)."""
ITEM_FACTORS = "item-factors"
"""One partition: chunks of the newest two models."""
MODELS = "models"
"""One partition: which model is complete and in use."""
TRENDS = "trends"
"""Partitioned as `clicks`: decayed popularity and co-occurrence of each partition's owner."""
USER_STATE = "user-state"
"""Partitioned as `clicks`: the changelog of the recommend agent, one record per user."""
LAYOUT = "layout"
"""One partition: how many partitions each topic had whose keys' state we keep."""
TRAINER = "trainer"
"""One partition, no records: whoever owns it is the active trainer."""


def all_topics(settings: Settings) -> list[TopicSpec]:
    """Every topic as it should be, names with the prefix."""
    keyed = settings.partitions
    # A replay of an old log has old `ts` but new record time stamps, so retention never eats it. Nor does anything hang
    # on the clocks of workers: Kafka takes no record stamped by one that is more than an hour fast.
    broker_time = {"message.timestamp.type": "LogAppendTime"}
    changelog = {"min.compaction.lag.ms": "3600000", "max.compaction.lag.ms": str(DAY_MS)}
    specs = [
        TopicSpec(PRODUCTS, keyed, "compact"),
        TopicSpec(CLICKS, keyed, "delete", 365 * DAY_MS),
        TopicSpec(ACTIVITIES, keyed, "delete", 365 * DAY_MS),
        TopicSpec(CAMPAIGNS, 1, "compact"),
        TopicSpec(ERASURES, keyed, "compact"),
        TopicSpec(RECOMMENDATIONS, keyed, "compact,delete", 30 * DAY_MS),
        TopicSpec(FEED, keyed, "delete", 30 * DAY_MS),
        TopicSpec(DEAD_LETTERS, keyed, "delete", 30 * DAY_MS),
        TopicSpec(SERVED, keyed, "delete", 30 * DAY_MS),
        TopicSpec(LINKS, keyed, "compact"),
        TopicSpec(CATALOG, keyed, "compact", config={"max.compaction.lag.ms": str(DAY_MS)}),
        TopicSpec(ITEM_FACTORS, 1, "compact"),
        TopicSpec(MODELS, 1, "compact"),
        TopicSpec(TRENDS, keyed, "compact"),
        TopicSpec(USER_STATE, keyed, "compact", config=changelog),
        TopicSpec(LAYOUT, 1, "compact"),
        TopicSpec(TRAINER, 1, "delete", DAY_MS),
    ]
    return [
        replace(spec, name=settings.topic_prefix + spec.name, config={**broker_time, **spec.config}) for spec in specs
    ]
