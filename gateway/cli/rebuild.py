"""`freshet rebuild`: views made anew from the log."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.history import UserState
    from streams.rebuild import Rebuild
    from streams.settings import Settings

app = typer.Typer(help="Make a view anew from the log.", no_args_is_help=True)


@app.callback()
def rebuild() -> None:
    """Make a view anew from the log."""


@app.command("redis")
def rebuild_redis(
    with_similar: Annotated[
        bool, typer.Option("--similar/--no-similar", help="Similar items too: a scan of the catalogue for each.")
    ] = True,
) -> None:
    """Fill Redis at once: lists, states, cards, hidden, popular and similar items.

    Workers may run meanwhile: nothing newer is ever written over. They also fill an empty Redis by themselves, slower.
    """
    import threadpoolctl

    from streams.settings import read_settings

    threadpoolctl.threadpool_limits(1)  # sums in one order, as in workers
    asyncio.run(_redis(read_settings(), with_similar))


async def _redis(settings: "Settings", with_similar: bool) -> None:
    from gateway.cli.doors import is_held, open_for_reading
    from streams.policy import recommend_policy
    from streams.rebuild import Rebuild
    from streams.shared_views import SharedViews
    from streams.stores.embedded import open_redis
    from streams.until_stopped import running

    if settings.redis.startswith("embedded:") and not is_held(settings):
        raise ConfigError(
            "The embedded Redis lives and ends with the Freshet that started it, and is filled when that starts: "
            "start one, or set FRESHET_REDIS."
        )
    async with open_for_reading(settings) as log, open_redis(settings) as store:
        await store.ping()
        views = SharedViews(settings, log, recommend_policy(settings), name=None)
        async with running(views.run()):
            await views.wait_caught_up()
            await _fill(Rebuild(settings, log, store, views, waits=False), with_similar)


async def _fill(rebuild: "Rebuild", with_similar: bool) -> None:
    from gateway.cli.progress import counting
    from streams import topics
    from streams.agents.partition import read_states
    from streams.agents.restore import SHARED
    from streams.clock import wall_clock_ms
    from streams.policy import recommend_policy
    from streams.rebuild import lists_made_anew
    from streams.wholeness import mark_of

    settings, log, store, views = rebuild.settings, rebuild.log, rebuild.store, rebuild.views
    policy = recommend_policy(settings)
    life = await store.run_id()
    item_ids = list(views.catalogue)
    with counting("cards", len(item_ids)) as advance:
        await rebuild.shared(advance)
    await rebuild.trending()
    await store.set_whole({SHARED: life})
    n_users = 0
    user_state = settings.topic_prefix + topics.USER_STATE
    with counting("users") as advance:
        for partition in sorted(await log.end_offsets(user_state)):
            states = await read_states(log, user_state, partition)

            async def mend(
                users: "Sequence[str]", partition: int = partition, states: "Mapping[str, UserState]" = states
            ) -> None:
                writes = lists_made_anew(users, partition, states, views.now(), policy, wall_clock_ms())
                await store.put_lists(writes)

            await rebuild.lists(partition, states, mend, advance)
            await store.set_whole({mark_of(partition): life})
            n_users += len(states)
    if with_similar:
        with counting("similar items", len(item_ids)) as advance:
            await rebuild.similar(item_ids, advance)
    typer.echo(f"Redis holds the lists and states of {n_users} users and the cards of {len(item_ids)} products.")
