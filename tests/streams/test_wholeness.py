"""A Redis is whole once each partition with users has its mark of this life of the server."""

from pathlib import Path

from streams import topics
from streams.log.base import NewRecord
from streams.log.open import open_log
from streams.settings import Settings
from streams.stores.embedded import open_redis
from streams.wholeness import Wholeness, mark_of


async def test_the_lists_of_partitions_with_users_are_missed_until_they_are_marked(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, partitions=3)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    async with open_redis(settings) as store:
        new_shop, old_shop = Wholeness(settings, log, store), Wholeness(settings, log, store)
        assert not new_shop.is_whole
        await new_shop.look()
        assert new_shop.is_whole

        await log.append_many([NewRecord(topics.USER_STATE, b"ann", b"state", partition) for partition in (0, 2)])
        await old_shop.look()
        assert old_shop.lacking == ("lists of partition 0", "lists of partition 2")
        await new_shop.look()
        assert new_shop.is_whole, "its workers write each list as it is made"

        life = await store.run_id()
        await store.set_whole({mark_of(0): life, mark_of(2): f"{life} not yet"})
        await old_shop.look()
        assert old_shop.lacking == ("lists of partition 2",)
        await store.set_whole({mark_of(2): life})
        await old_shop.look()
        assert old_shop.is_whole
    await log.stop()
