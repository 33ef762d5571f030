"""What a Redis server must do for us; each kind of server runs this."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from recsys.errors import StateError, UnavailableError
from recsys.versions import Version
from streams.stores.redis import TTL_S, ListWrite, RedisStore

DEADLINE_S = 10.0


def a_write(user_id: str = "ann", offset: int = 1, item_id: str = "lamp", user: bytes = b"state") -> ListWrite:
    """A list of one item, made at this offset."""
    version = str(Version(1, offset))
    document = {"version": version, "user_id": user_id, "items": [{"item_id": item_id}]}
    return ListWrite(user_id, version, json.dumps(document, separators=(",", ":")).encode(), user)


def items_of(document: bytes | None) -> list[str]:
    assert document is not None
    return [item["item_id"] for item in json.loads(document)["items"]]


class StoreContract:
    """Each server's test class gives the fixture `url`."""

    @pytest.fixture
    async def client(self, url: str) -> AsyncIterator[Redis]:
        client = Redis.from_url(url)
        await client.flushall()
        yield client
        await client.aclose()

    @pytest.fixture
    async def store(self, url: str, client: Redis) -> AsyncIterator[RedisStore]:
        store = RedisStore(url, prefix="acme-")
        yield store
        await store.close()

    async def test_a_list_and_the_state_beside_it_are_read_back(self, store: RedisStore) -> None:
        write = a_write(user=b"\x00\xff state")

        assert await store.put_lists([write]) == 1
        assert await store.get_list("ann") == write.list_json
        assert await store.get_user("ann") == (write.version, b"\x00\xff state")

    async def test_keys_are_the_contracts_with_the_prefix(self, store: RedisStore, client: Redis) -> None:
        await store.put_lists([a_write()])
        await store.set_hidden(["lamp"])
        await store.put_cards({"lamp": {"title": "Lamp"}})
        await store.put_similar({"lamp": b"[]"})
        await store.set_trending({"lamp": 1.0})

        assert {key.decode() for key in await client.keys()} == {
            "acme-freshet:recs:ann",
            "acme-freshet:user:ann",
            "acme-freshet:hidden",
            "acme-freshet:item:lamp",
            "acme-freshet:similar:lamp",
            "acme-freshet:trending",
        }

    async def test_a_late_older_or_equal_list_changes_nothing(self, store: RedisStore) -> None:
        await store.put_lists([a_write(offset=10, item_id="lamp")])

        assert await store.put_lists([a_write(offset=9, item_id="shoe"), a_write(offset=10, item_id="boot")]) == 0
        assert items_of(await store.get_list("ann")) == ["lamp"]

    async def test_a_newer_epoch_wins_over_any_offset(self, store: RedisStore) -> None:
        await store.put_lists([a_write(offset=10**12)])
        version = str(Version(2, 0))
        newer = ListWrite("ann", version, b'{"version":"%s"}' % version.encode(), b"")

        assert await store.put_lists([newer]) == 1
        assert await store.get_list("ann") == newer.list_json

    async def test_several_writes_of_one_user_in_a_batch_leave_the_newest(self, store: RedisStore) -> None:
        writes = [a_write(offset=n, item_id=f"item-{n}") for n in (1, 3, 2)]

        assert await store.put_lists(writes) == 2
        assert items_of(await store.get_list("ann")) == ["item-3"]

    async def test_an_impression_renews_the_state_and_leaves_the_list(self, store: RedisStore) -> None:
        await store.put_lists([a_write(offset=1)])
        version = str(Version(1, 2))

        assert await store.put_lists([ListWrite("ann", version, None, b"newer")]) == 1
        assert items_of(await store.get_list("ann")) == ["lamp"]
        assert await store.get_user("ann") == (version, b"newer")

    async def test_a_list_that_was_lost_alone_comes_back(self, store: RedisStore, client: Redis) -> None:
        await store.put_lists([a_write(offset=5)])
        await client.delete("acme-freshet:recs:ann")

        assert await store.put_lists([a_write(offset=5)]) == 1
        assert items_of(await store.get_list("ann")) == ["lamp"]

    @pytest.mark.parametrize("planted", [b"zzz", b"z" * 400, b'{"version":"' + b"\xff" * 30])
    async def test_a_planted_value_does_not_stand_in_the_way(
        self, store: RedisStore, client: Redis, planted: bytes
    ) -> None:
        await client.mset({"acme-freshet:recs:ann": planted, "acme-freshet:user:ann": planted})

        assert await store.put_lists([a_write()]) == 1
        assert items_of(await store.get_list("ann")) == ["lamp"]

    async def test_a_planted_key_of_another_type_does_not_stand_in_the_way(
        self, store: RedisStore, client: Redis
    ) -> None:
        await client.sadd("acme-freshet:recs:ann", "junk")
        await client.sadd("acme-freshet:user:ann", "junk")

        assert await store.put_lists([a_write()]) == 1
        assert items_of(await store.get_list("ann")) == ["lamp"]

    async def test_a_list_without_its_version_in_front_is_refused(self, store: RedisStore) -> None:
        with pytest.raises(StateError, match="does not begin with it"):
            await store.put_lists([ListWrite("ann", str(Version(1, 1)), b'{"user_id":"ann"}', b"")])

    async def test_more_users_than_fit_into_one_call(self, store: RedisStore) -> None:
        writes = [a_write(user_id=f"u-{n}", offset=n, item_id=f"item-{n}") for n in range(1300)]

        assert await store.put_lists(writes) == 1300
        assert items_of(await store.get_list("u-1299")) == ["item-1299"]

    async def test_nothing_to_write_is_nothing_written(self, store: RedisStore) -> None:
        assert await store.put_lists([]) == 0

    async def test_lists_leave_after_thirty_days(self, store: RedisStore, client: Redis) -> None:
        await store.put_lists([a_write()])

        for key in ("acme-freshet:recs:ann", "acme-freshet:user:ann"):
            assert TTL_S - 60 < await client.ttl(key) <= TTL_S

    async def test_the_script_is_sent_again_after_the_server_forgot_it(self, store: RedisStore, client: Redis) -> None:
        await store.put_lists([a_write(offset=1)])
        await client.script_flush()

        assert await store.put_lists([a_write(offset=2)]) == 1

    async def test_a_forgotten_user_is_gone(self, store: RedisStore) -> None:
        await store.put_lists([a_write()])
        await store.forget_user("ann")

        assert await store.get_list("ann") is None
        assert await store.get_user("ann") is None

    async def test_a_listener_hears_of_changed_lists_and_of_nothing_else(self, store: RedisStore) -> None:
        is_ready = asyncio.Event()
        changes = store.listen_lists(is_ready.set)
        first = asyncio.ensure_future(anext(changes))
        await asyncio.wait_for(is_ready.wait(), DEADLINE_S)

        await store.put_lists([a_write("ann", 2), a_write("ann", 1), ListWrite("bob", str(Version(1, 1)), None, b"")])
        await store.put_lists([a_write("cleo")])

        heard = [await asyncio.wait_for(first, DEADLINE_S), await asyncio.wait_for(anext(changes), DEADLINE_S)]
        assert heard == ["ann", "cleo"]
        await changes.aclose()  # type: ignore[attr-defined]

    async def test_a_listener_learns_that_its_connection_was_lost(self, store: RedisStore, client: Redis) -> None:
        is_ready = asyncio.Event()
        changes = store.listen_lists(is_ready.set)
        first = asyncio.ensure_future(anext(changes))
        await asyncio.wait_for(is_ready.wait(), DEADLINE_S)

        await client.execute_command("CLIENT KILL", "TYPE", "PUBSUB")

        with pytest.raises(UnavailableError):
            await asyncio.wait_for(first, DEADLINE_S)

    async def test_a_connection_that_died_idle_costs_no_write(self, store: RedisStore, client: Redis) -> None:
        await store.put_lists([a_write(offset=1)])
        with contextlib.suppress(Exception):
            await client.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")

        assert await store.put_lists([a_write(offset=2)]) == 1

    async def test_items_are_hidden_and_shown(self, store: RedisStore) -> None:
        await store.set_hidden(add=["lamp", "shoe"])
        await store.set_hidden(add=["boot"], remove=["lamp"])

        assert await store.get_hidden() == {"shoe", "boot"}

    async def test_a_card_is_replaced_whole_and_deleted(self, store: RedisStore) -> None:
        await store.put_cards({"lamp": {"title": "Lamp", "sale": "yes"}, "shoe": {"title": "鞋"}})
        await store.put_cards({"lamp": {"title": "Lamp 2"}, "shoe": {"title": "鞋"}})
        assert await store.get_card("lamp") == {"title": "Lamp 2"}

        await store.delete_cards(["lamp"])
        assert await store.get_card("lamp") == {}
        assert await store.get_card("shoe") == {"title": "鞋"}

    async def test_similar_items_are_read_back(self, store: RedisStore) -> None:
        await store.put_similar({"lamp": b'["shoe"]'})

        assert await store.get_similar("lamp") == b'["shoe"]'
        assert await store.get_similar("shoe") is None

    async def test_trending_is_replaced_whole_and_read_highest_first(self, store: RedisStore) -> None:
        await store.set_trending({"old": 9.0})
        await store.set_trending({"lamp": 0.1 + 0.2, "shoe": 2.5, "boot": 1e-300})

        assert await store.get_trending(2) == [("shoe", 2.5), ("lamp", 0.1 + 0.2)]
        assert len(await store.get_trending(10)) == 3
        assert await store.get_trending(0) == []

        await store.set_trending({})
        assert await store.get_trending(10) == []

    async def test_it_answers(self, store: RedisStore) -> None:
        await store.ping()

    async def test_a_full_server_answers_and_takes_no_writes(self, store: RedisStore, client: Redis) -> None:
        await store.check_writable()
        await client.config_set("maxmemory", 1)
        try:
            await store.ping()
            with pytest.raises(UnavailableError, match="take writes"):
                await store.check_writable()
        finally:
            await client.config_set("maxmemory", 0)
        await store.check_writable()
        assert await client.dbsize() == 0
