"""A product's picture by its reference: fetched from a public address, out of the message itself, or from a folder.

References come from outside, so they may name anything: an address inside our network, an endless file, a pipe.
"""

import asyncio
import base64
import binascii
import os
import re
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import aiohttp
from yarl import URL

from recsys.errors import EncodingError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = frozenset({80, 443})
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_CHUNK_BYTES = 65_536
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
# Python counts these as global: 6to4 relays, protocol assignments and the translation prefix for local use.
_NEVER = tuple(map(ip_network, ("192.88.99.0/24", "192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")))


@dataclass(frozen=True)
class FetchLimits:
    """How long and how much; halved, slow shops lose pictures, doubled, a slow one holds up the others for longer."""

    connect_s: float = 3.0
    total_s: float = 10.0
    """Of all redirects together."""
    n_bytes: int = 8 * 2**20
    """After decompression."""
    n_redirects: int = 3
    data_uri_chars: int = 700 * 1024


LIMITS = FetchLimits()


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its host is not known"),
    (aiohttp.ClientSSLError, "its host cannot prove who it is"),
    (aiohttp.ClientConnectorError, "its host does not answer"),
    (aiohttp.InvalidURL, "the address is no URL"),
    (aiohttp.ServerDisconnectedError, "its host closed the connection"),
    (aiohttp.ClientPayloadError, "it broke off"),
)


def _why(error: Exception) -> str:
    """What a shop can do something with; the rest by its name."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), type(error).__name__)


class PictureFetcher:
    """Fetches pictures; an async context, in which its connections live.

    Parameters
    ----------
    media_dir : Path, optional
        The folder below which paths are looked up; without it no path is found.
    allowed : iterable of str
        Hosts and networks (`10.1.0.0/16`) besides public addresses, at any port.
    """

    def __init__(
        self, media_dir: Path | None = None, allowed: Iterable[str] = (), limits: FetchLimits = LIMITS
    ) -> None:
        self._media_dir = media_dir.resolve() if media_dir else None
        networks, hosts = _networks_and_hosts(allowed)
        self._hosts, self._limits = hosts, limits
        self._guard = AddressGuard(networks)

    async def __aenter__(self) -> Self:
        self._public = self._session(self._guard.open_socket)
        self._trusted = self._session(None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._public.close()
        await self._trusted.close()

    async def fetch(self, reference: str) -> bytes:
        """Return the file that a product's `image` names: an http(s) URL, a `data:` URI, or a path.

        Raises
        ------
        EncodingError
            `picture-address` (no such kind of reference), `picture-private-address`, `picture-not-found`,
            `picture-fetch-timeout`, `picture-fetch-failed`, `picture-too-large`, `picture-malformed`.
        """
        scheme = _SCHEME.match(reference)
        if not scheme:
            return await asyncio.to_thread(self._read_file, reference)
        match scheme.group().lower():
            case "data:":
                return decode_data_uri(reference, self._limits.data_uri_chars)
            case "http:" | "https:":
                return await self._download(reference)
        raise EncodingError("picture-address", "A picture is an http(s) URL, a data: URI or a path.")

    async def _download(self, reference: str) -> bytes:
        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._follow(_parsed(reference))
        except TimeoutError as error:
            raise EncodingError("picture-fetch-timeout", "The picture did not come in time.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(getattr(error, "os_error", None), PrivateAddressError):
                raise EncodingError("picture-private-address", PrivateAddressError.TEXT) from error
            raise EncodingError("picture-fetch-failed", f"The picture cannot be fetched: {_why(error)}.") from error

    async def _follow(self, url: URL) -> bytes:
        """Redirects are followed here, since each must pass the same door."""
        for _ in range(self._limits.n_redirects + 1):
            session = self._trusted if (url.host or "").rstrip(".").lower() in self._hosts else self._public
            async with session.get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await self._body(response)
                url = _checked(url.join(URL(response.headers.get("Location", ""))))
        raise EncodingError("picture-fetch-failed", f"The picture is behind over {self._limits.n_redirects} redirects.")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status in _GONE:
            raise EncodingError("picture-not-found", f"The picture's server answered {response.status}.")
        if response.status != 200:
            raise EncodingError("picture-fetch-failed", f"The picture's server answered {response.status}.")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.n_bytes:
                raise _too_large(self._limits.n_bytes)
        return bytes(body)

    def _read_file(self, reference: str) -> bytes:
        if self._media_dir is None:
            raise EncodingError("picture-not-found", "A picture is given by path, but FRESHET_MEDIA_DIR is not set.")
        try:
            path = (self._media_dir / reference).resolve(strict=True)
            if not path.is_relative_to(self._media_dir):
                raise EncodingError("picture-private-address", "The picture's path leads out of FRESHET_MEDIA_DIR.")
            # Without O_NONBLOCK opening a pipe would wait for its writer.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise EncodingError("picture-not-found", "The picture's path names no file.")
                data = file.read(self._limits.n_bytes + 1)
        except (OSError, ValueError, RuntimeError) as error:  # missing, a NUL in its name, a circle of links
            raise EncodingError("picture-not-found", "There is no such picture in FRESHET_MEDIA_DIR.") from error
        if len(data) > self._limits.n_bytes:
            raise _too_large(self._limits.n_bytes)
        return data

    def _session(self, socket_factory: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=socket_factory, limit=64, limit_per_host=8),
            timeout=aiohttp.ClientTimeout(total=self._limits.total_s, sock_connect=self._limits.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "freshet", "Accept": "image/*"},
            trust_env=False,
        )


class PrivateAddressError(OSError):
    """A connection that must not be made."""

    TEXT = "The picture's address is not public, or its port is not 80 or 443; FRESHET_IMAGE_HOSTS can allow it."

    def __init__(self) -> None:
        super().__init__(self.TEXT)


class AddressGuard:
    """Opens sockets for connections to public addresses only.

    aiohttp asks it with the very address it is about to connect to, so no name, redirect, spelling of a number or
    change of mind of a name server gets round it.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Raises PrivateAddressError for an address that is neither public nor in an allowed network."""
        family, kind, protocol, _, (host, port, *_) = info
        if not self.is_allowed(host, port):
            raise PrivateAddressError
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    def is_allowed(self, host: str, port: int) -> bool:
        address = ip_address(host.partition("%")[0])
        inner = getattr(address, "ipv4_mapped", None) or address
        if any(inner in network for network in self._networks):
            return True
        return port in PORTS and is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, and so is each address that is wrapped in it."""
    if not address.is_global or any(address in network for network in _NEVER):
        return False
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    if is_special and address not in _NAT64:  # of a translated address, what it leads to is what matters
        return False
    return all(is_public(inner) for inner in _wrapped(address))


def _wrapped(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that a packet to an IPv6 address may end up at."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [inner for inner in found if inner is not None]


def decode_data_uri(uri: str, max_chars: int = LIMITS.data_uri_chars) -> bytes:
    """The bytes of a `data:` URI (RFC 2397), base64 or percent-encoded; what they hold is for the decoder to say.

    Raises EncodingError (`picture-too-large`, `picture-malformed`).
    """
    if len(uri) > max_chars:
        raise EncodingError("picture-too-large", f"The picture's data: URI is over {max_chars} characters.")
    head, comma, body = uri.partition(",")
    if not comma:
        raise EncodingError("picture-malformed", "The picture's data: URI has no comma.")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(unquote_to_bytes(body), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EncodingError("picture-malformed", f"The picture's data: URI is no base64: {error}.") from error


def _parsed(reference: str) -> URL:
    try:
        return _checked(URL(reference))
    except (ValueError, TypeError) as error:
        raise EncodingError("picture-address", "The picture's URL cannot be read.") from error


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host or url.user is not None or url.password is not None:
        raise EncodingError("picture-address", "A picture's URL is http or https, with a host and no user name.")
    return url


def _too_large(n_bytes: int) -> EncodingError:
    return EncodingError("picture-too-large", f"The picture has over {n_bytes} bytes.")


def _networks_and_hosts(allowed: Iterable[str]) -> tuple[list[Network], frozenset[str]]:
    networks: list[Network] = []
    hosts: set[str] = set()
    for name in allowed:
        try:
            networks.append(ip_network(name, strict=False))
        except ValueError:
            hosts.add(name.rstrip(".").lower())
    return networks, frozenset(hosts)
