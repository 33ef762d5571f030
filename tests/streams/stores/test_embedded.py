"""The embedded server: starts, is shared, ends with its owner and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys.errors import ConfigError, UnavailableError
from streams.settings import Settings
from streams.stores.embedded import LONGEST_SOCKET_PATH, EmbeddedRedis, open_redis
from streams.stores.redis import RedisStore
from tests.contracts.store_contract import a_write

OWNER = """
import asyncio, pathlib, sys
from streams.stores.embedded import EmbeddedRedis

async def main():
    server = EmbeddedRedis(pathlib.Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


async def test_settings_open_a_store_and_close_it(tmp_path: Path) -> None:
    async with open_redis(Settings(data_dir=tmp_path)) as store:
        assert await store.put_lists([a_write()]) == 1
        assert await store.get_list("ann") is not None

    assert not (tmp_path / "redis.socket").exists()


async def test_settings_name_an_outside_server_that_need_not_answer_yet(tmp_path: Path) -> None:
    async with open_redis(Settings(redis=f"unix://{tmp_path}/none.sock")) as store:
        with pytest.raises(UnavailableError):
            await store.ping()


async def test_a_second_process_on_the_folder_shares_the_server(tmp_path: Path) -> None:
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    await first.start()
    await second.start()
    assert (second.pid, second.url) == (None, first.url)

    await second.stop()
    store = RedisStore(first.url)
    await store.ping()
    await store.close()
    await first.stop()


async def test_a_clean_stop_leaves_no_process_and_a_new_start_works(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    await server.start()
    pid = server.pid
    assert pid is not None
    await server.stop()
    await server.stop()
    assert not is_running(pid)

    await server.start()
    assert server.pid not in (None, pid)
    await server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
async def test_it_dies_with_an_owner_that_was_killed_and_the_next_owner_starts_anew(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert owner.stdout is not None
    pid = int(await asyncio.wait_for(owner.stdout.readline(), 30))

    os.kill(owner.pid, signal.SIGKILL)
    await owner.wait()
    wait_until_gone(pid)

    async with open_redis(Settings(data_dir=tmp_path)) as store:
        assert await store.put_lists([a_write()]) == 1


async def test_a_folder_with_a_long_name_or_spaces_works(tmp_path: Path) -> None:
    folder = tmp_path / "a shop's data, 100 % of it" / ("x" * LONGEST_SOCKET_PATH)
    for data_dir in (folder, folder.parent):
        async with open_redis(Settings(data_dir=data_dir)) as store:
            await store.ping()


async def test_a_program_that_ends_at_once_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="ended at once"):
        await EmbeddedRedis(tmp_path, program="/bin/false").start()
    async with open_redis(Settings(data_dir=tmp_path)) as store:
        await store.ping()


async def test_a_folder_that_is_a_file_is_a_setting_at_fault(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        await EmbeddedRedis(path).start()
