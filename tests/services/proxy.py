"""A TCP proxy that cuts, swallows or slows what passes: this kernel has no `tc netem`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

Fault = Literal["cut", "half-open", "slow"]
CHUNK = 16_384
SLOW_S = 0.2
"""What a piece of `CHUNK` bytes waits for in a slow network: 80 KB a second."""


class Proxy:
    """Hands on what comes to one port of 127.0.0.1 to another, and back.

    Cut, connections end and no new ones are taken. Half-open, they stay and nothing arrives, nor does it later: they
    are reset when the fault is over, as by a firewall that has forgotten them.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen while the block lasts."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield
        finally:
            self._server.close()
            self._reset()

    @contextlib.asynccontextmanager
    async def fault(self, fault: Fault) -> AsyncIterator[None]:
        """The network has a fault while the block lasts."""
        self._fault = fault
        if fault == "cut":
            self._reset()
        try:
            yield
        finally:
            self._fault = None
            if fault == "half-open":
                self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault == "cut":
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
            both = {writer, to_writer}
            self._writers |= both
            try:
                await asyncio.gather(self._pump(reader, to_writer), self._pump(to_reader, writer))
            finally:
                self._writers -= both
                for each in both:
                    each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._fault == "half-open":
                continue
            if self._fault == "slow":
                await asyncio.sleep(SLOW_S)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
