"""Where pictures are taken from, and where never."""

import asyncio
import base64
import gzip
import os
import socket
from ipaddress import ip_address

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import EncodingError
from streams.pictures import AddressGuard, FetchLimits, PictureFetcher, decode_data_uri, is_public

PICTURE = b"\x89PNG not looked at here"

PRIVATE_HOSTS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "127.0.0.1.",
    "１２７.０.０.１",
    "127。0。0。1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]
NO_ADDRESSES = [
    "ftp://127.0.0.1/a",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/_x",
    "javascript:alert(1)",
    "http://",
    "http:///etc/passwd",
    "http://user:pass@example.com/a",
    "http://user@127.0.0.1/",
    "http://example.com:99999/",
    "http://[::1/a",
    "unix:/run/docker.sock",
    "jar:http://127.0.0.1!/a",
]


async def refusal(fetcher: PictureFetcher, reference: str) -> str:
    with pytest.raises(EncodingError) as raised:
        await fetcher.fetch(reference)
    return raised.value.reason


class Shop:
    """A web server with pictures and traps, on a free port of the loopback address."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = asyncio.Event()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        self.release.set()
        await self.runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        match request.path.strip("/").split("/"):
            case ["a.png"]:
                return web.Response(body=PICTURE)
            case ["zipped"]:
                return web.Response(body=gzip.compress(PICTURE), headers={"Content-Encoding": "gzip"})
            case ["bomb"]:
                return web.Response(body=gzip.compress(bytes(64 * 2**20)), headers={"Content-Encoding": "gzip"})
            case ["status", code]:
                return web.Response(status=int(code))
            case ["hops", left]:
                target = "/a.png" if left == "0" else f"/hops/{int(left) - 1}"
                return web.Response(status=302, headers={"Location": target})
            case ["to"]:
                return web.Response(status=307, headers={"Location": request.query["url"]})
            case ["endless"]:
                response = web.StreamResponse()
                await response.prepare(request)
                while not self.release.is_set():
                    await response.write(bytes(65_536))
                return response
            case ["slow"]:
                await self.release.wait()
                return web.Response(body=PICTURE)
        return web.Response(status=404)


@pytest.fixture
async def shop():
    server = Shop()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def fetcher():
    """One that may go to the loopback network."""
    limits = FetchLimits(connect_s=1.0, total_s=2.0)
    async with PictureFetcher(allowed=["127.0.0.0/8"], limits=limits) as fetcher:
        yield fetcher


@pytest.fixture
async def public_fetcher():
    async with PictureFetcher(limits=FetchLimits(connect_s=1.0, total_s=2.0)) as fetcher:
        yield fetcher


async def test_a_picture_of_an_allowed_network_is_fetched_at_any_port(shop, fetcher):
    assert await fetcher.fetch(f"{shop.url}/a.png") == PICTURE
    assert await fetcher.fetch(f"{shop.url}/zipped") == PICTURE
    assert await fetcher.fetch(f"{shop.url}/hops/2") == PICTURE


async def test_a_host_may_be_allowed_by_its_name(shop):
    async with PictureFetcher(allowed=["LocalHost"]) as fetcher:
        assert await fetcher.fetch(f"http://localhost:{shop.port}/a.png") == PICTURE
        assert await refusal(fetcher, f"{shop.url}/a.png") == "picture-private-address"


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
async def test_no_spelling_of_a_private_address_is_reached(host, shop, public_fetcher):
    for port in ("", f":{shop.port}"):
        reason = await refusal(public_fetcher, f"http://{host}{port}/a.png")
        assert reason in {"picture-private-address", "picture-address", "picture-fetch-failed"}
    assert shop.asked == []


@pytest.mark.parametrize("reference", NO_ADDRESSES)
async def test_what_is_no_web_address_is_refused(reference, public_fetcher):
    assert await refusal(public_fetcher, reference) == "picture-address"


async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(shop, public_fetcher, monkeypatch):
    """Nothing is decided by an earlier look-up, so a name server that changes its mind gains nothing."""

    def inside(host, port, *args, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", shop.port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)

    assert await refusal(public_fetcher, "http://rebind.example/a.png") == "picture-private-address"
    assert shop.asked == []


async def test_a_redirect_passes_the_same_door(shop):
    async with PictureFetcher(allowed=["localhost"]) as fetcher:
        start = f"http://localhost:{shop.port}/to?url="
        assert await refusal(fetcher, f"{start}{shop.url}/a.png") == "picture-private-address"
        assert await refusal(fetcher, f"{start}http://169.254.169.254/latest/") == "picture-private-address"
        assert await refusal(fetcher, f"{start}file:///etc/passwd") == "picture-address"
        assert await refusal(fetcher, f"{start}http://u:p@localhost:{shop.port}/a.png") == "picture-address"
    assert "/a.png" not in shop.asked


async def test_more_than_three_redirects_are_not_followed(shop, fetcher):
    assert await refusal(fetcher, f"{shop.url}/hops/3") == "picture-fetch-failed"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "picture-not-found"),
        ("status/410", "picture-not-found"),
        ("status/500", "picture-fetch-failed"),
        ("status/204", "picture-fetch-failed"),
        ("endless", "picture-too-large"),
        ("bomb", "picture-too-large"),
        ("slow", "picture-fetch-timeout"),
    ],
)
async def test_what_does_not_come_has_its_reason(path, reason, shop):
    async with PictureFetcher(allowed=["127.0.0.1"], limits=FetchLimits(total_s=1.0, n_bytes=100_000)) as fetcher:
        assert await refusal(fetcher, f"{shop.url}/{path}") == reason


async def test_a_closed_port_has_its_reason(fetcher):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert await refusal(fetcher, f"http://127.0.0.1:{port}/a.png") == "picture-fetch-failed"


async def test_settings_of_a_proxy_are_not_followed(shop, public_fetcher, monkeypatch):
    monkeypatch.setenv("http_proxy", shop.url)
    assert await refusal(public_fetcher, "http://10.0.0.1/a.png") == "picture-private-address"
    assert shop.asked == []


def test_public_addresses_are_allowed_at_the_ports_of_the_web_only():
    guard = AddressGuard()
    assert guard.is_allowed("93.184.216.34", 443)
    assert guard.is_allowed("2606:4700:4700::1111", 80)
    assert guard.is_allowed("64:ff9b::5db8:d822", 80)
    assert not guard.is_allowed("93.184.216.34", 6379)


@given(st.ip_addresses(v=4))
def test_an_address_is_never_more_public_for_being_wrapped(address):
    number = int(address)
    wrapped = [
        ip_address((0x2002 << 112) | (number << 80)),
        ip_address((0x64FF9B << 96) | number),
        ip_address((0xFFFF << 32) | number),
        ip_address(number | 1 << 127 if number < 2 else number),
    ]
    if not is_public(address):
        assert not any(is_public(outer) for outer in wrapped[:3])


def test_data_uris_are_read_in_both_codings():
    coded = base64.b64encode(PICTURE).decode()
    assert decode_data_uri(f"data:image/png;base64,{coded}") == PICTURE
    assert decode_data_uri(f"DATA:;BASE64,{coded}") == PICTURE
    assert decode_data_uri("data:image/svg+xml,%3Csvg%2F%3E") == b"<svg/>"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("data:image/png;base64,@@@", "picture-malformed"),
        ("data:image/png;base64", "picture-malformed"),
        ("data:," + "x" * 700 * 1024, "picture-too-large"),
    ],
)
async def test_data_uris_that_are_none_have_their_reason(uri, reason, public_fetcher):
    assert await refusal(public_fetcher, uri) == reason


async def test_paths_stay_below_the_media_folder(tmp_path):
    media = tmp_path / "media"
    (media / "shoes").mkdir(parents=True)
    (media / "shoes" / "1.png").write_bytes(PICTURE)
    (media / "large.png").write_bytes(bytes(200))
    (tmp_path / "secret").write_bytes(b"secret")
    (media / "link").symlink_to(tmp_path / "secret")
    (media / "inner").symlink_to(media / "shoes" / "1.png")
    (media / "circle").symlink_to(media / "circle")
    os.mkfifo(media / "pipe")

    async with PictureFetcher(media, limits=FetchLimits(n_bytes=100)) as fetcher:
        assert await fetcher.fetch("shoes/1.png") == PICTURE
        assert await fetcher.fetch("shoes/../shoes/1.png") == PICTURE
        assert await fetcher.fetch("inner") == PICTURE
        for path in ("../secret", str(tmp_path / "secret"), "link", "shoes/../../secret"):
            assert await refusal(fetcher, path) == "picture-private-address"
        for path in ("none.png", "shoes", "circle", "pipe", "a\x00b", "", "x" * 5000):
            assert await refusal(fetcher, path) == "picture-not-found"
        assert await refusal(fetcher, "large.png") == "picture-too-large"


async def test_without_a_media_folder_no_path_is_found(public_fetcher):
    assert await refusal(public_fetcher, "/etc/passwd") == "picture-not-found"
