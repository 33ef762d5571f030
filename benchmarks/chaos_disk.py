"""The row `disk`: for a while the disk of every process takes nothing."""

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.chaos_shop import SETTLED_S, Shop, require
from tests.end_to_end.deployment import Part, until

REFUSED = "cannot be written"
ROOM = 32_768
"""Bytes that a log may still grow by where no other file may grow beyond them."""
N_PRODUCTS, DESCRIPTION = 40, "a word and another " * 150
"""Together more than `ROOM`, so that a catalogue with them does not fit."""
TRIES_S = 4.0
"""Some more tries, each second one: all but the first are to be silent."""
MINUTE_S = 60.0

Fault = Callable[[Sequence[Part]], "contextlib.AbstractContextManager[None]"]


async def disk(shop: Shop, cycles: int) -> None:
    """The disks of workers, a trainer and a gateway are full or read-only; later each has its snapshot again."""
    shop.workers.append(hurried(shop, "worker", "--role", "recommend", "--no-supervise"))
    await shop.workers[0].wait_ready()
    others = (("worker", "--role", "embed"), ("trainer",), ("gateway",))
    parts = [*shop.workers, *(hurried(shop, *args, "--no-supervise") for args in others)]
    for part in parts:
        await part.wait_ready()
    pids = [part.pid for part in parts]
    faults: list[Fault] = [full, read_only]
    async with shop.load.running():
        for cycle in range(cycles):
            since_ns = time.time_ns()
            await shop.add_products(f"before-{cycle}", N_PRODUCTS, DESCRIPTION)
            await saved(parts, since_ns)
            said = [n_refused(part) for part in parts]
            with faults[cycle % len(faults)](parts):
                since_s = time.monotonic()
                await shop.add_products(f"during-{cycle}", N_PRODUCTS, DESCRIPTION)
                for part, before in zip(parts, said, strict=True):
                    await until(
                        lambda part=part, before=before: n_refused(part) > before,
                        f"{part.name} says that its snapshot cannot be written",
                        SETTLED_S,
                    )
                await asyncio.sleep(TRIES_S)
                await shop.moves_on()
                most = 1 + int((time.monotonic() - since_s) / MINUTE_S)
                since_ns = time.time_ns()
            for part, before in zip(parts, said, strict=True):
                told = n_refused(part) - before
                require(told <= most, f"{part.name} said {told} times that its snapshot cannot be written")
            await saved(parts, since_ns)
        await shop.moves_on()
    for part, pid in zip(parts, pids, strict=True):
        require(part.is_running and part.pid == pid, f"{part.name} has ended while its disk took nothing")


def hurried(shop: Shop, *args: str) -> Part:
    """Start a part that writes its snapshot each second."""
    part = shop.deployment.part(*args)
    command = part.service.command
    command[command.index("gateway.cli.main")] = "tests.chaos.hurried"
    part.start()
    return part


def n_refused(part: Part) -> int:
    """How often a part has said that it cannot write a snapshot."""
    return part.log().count(REFUSED)


async def saved(parts: Sequence[Part], since_ns: int) -> None:
    """Wait until each part has written a snapshot since a time of the wall clock."""
    for part in parts:

        def is_saved(part: Part = part) -> bool:
            manifests = folder_of(part).glob("**/manifest")
            return any(manifest.stat().st_mtime_ns > since_ns for manifest in manifests)

        await until(is_saved, f"{part.name} has written its snapshot", SETTLED_S)


def folder_of(part: Part) -> Path:
    return part.service.folder / part.name


@contextlib.contextmanager
def full(parts: Sequence[Part]) -> Iterator[None]:
    """No file of these processes grows any more, but for their logs."""
    before = {part: resource.prlimit(part.pid, resource.RLIMIT_FSIZE) for part in parts}
    for part, (_, hard) in before.items():
        resource.prlimit(part.pid, resource.RLIMIT_FSIZE, (part.service.log.stat().st_size + ROOM, hard))
    try:
        yield
    finally:
        for part, limits in before.items():
            resource.prlimit(part.pid, resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def read_only(parts: Sequence[Part]) -> Iterator[None]:
    """A file stands where these processes have their folders of snapshots: permissions do not bind root."""
    folders = [each for part in parts for name in ("snapshots", "trainer") if (each := folder_of(part) / name).is_dir()]
    for folder in folders:
        folder.rename(folder.with_name(f"{folder.name}.away"))
        folder.touch()
    try:
        yield
    finally:
        for folder in folders:
            folder.unlink()
            folder.with_name(f"{folder.name}.away").rename(folder)
