"""The shop page in a real browser, over a gateway and a worker on embedded parts."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from gateway.demo.shop import sample_shop, write_pictures
from gateway.serve import open_socket, serve
from gateway.state import Gateway
from streams.policy import recommend_policy
from streams.processes import Worker, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.until_stopped import running
from tests.services.process import missing

pytestmark = pytest.mark.browser

PRODUCTS = list(sample_shop(seed=0, size=80))
COLOUR_OF = {p.message["attributes"]["title_zh"]: p.look.colour for p in PRODUCTS}
HOSTILE = {"item_id": "evil/<b>", "title": "<img src=x onerror=window.hacked=1> lamp", "category": ["<i>Odd</i>"]}
CONTENT_WAIT_MS = 15_000
PHONE = {"width": 390, "height": 844}


@contextlib.asynccontextmanager
async def a_shop(folder: Path) -> AsyncIterator[str]:
    """The URL of a running shop that holds the sample products."""
    settings = Settings(
        data_dir=folder, media_dir=folder / "media", port=0, partitions=2, text_encoder="none", image_encoder="none"
    )
    stop = asyncio.Event()
    with open_socket(settings) as listening:
        async with outside(settings) as parts:
            views = SharedViews(settings, parts.log, recommend_policy(settings))
            gateway, worker = Gateway(settings, parts.log, parts.store, views), Worker(parts, views, "all")
            async with running(views.run(), gateway.changes.run()):
                await worker.start()
                serving = asyncio.create_task(serve(gateway, parts, listening, stop))
                async with running(worker.run()):
                    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                    await fill_shelves(url, folder / "media")
                    yield url
                stop.set()
                await serving
                await worker.stop()


async def fill_shelves(url: str, media: Path) -> None:
    """Send the products and wait until they are live."""
    on_sale = [product.message for product in write_pictures(PRODUCTS, media) if product.message["available"]]
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/v1/products", json=[*on_sale, HOSTILE])
        assert answer.status_code == 202, answer.text
        deadline = asyncio.get_running_loop().time() + 20
        while (await client.get("/readyz")).json()["products"] < len(on_sale) + 1:
            assert asyncio.get_running_loop().time() < deadline, "the products did not become live"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def a_page(url: str, **options: object) -> AsyncIterator[Page]:
    """The shop page, opened; fails on any error in the page and on any request to another host."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("Chromium (Debian's package chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(**options)  # type: ignore[arg-type]
        page.set_default_timeout(CONTENT_WAIT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if is_ours(request.url, url) else errors.append(request.url))
        await page.goto(url)
        await expect(page.locator("#grid li").first).to_be_visible(timeout=CONTENT_WAIT_MS)
        yield page
        assert errors == []
        await browser.close()


def is_ours(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))


async def test_a_shopper_looks_searches_and_gets_a_list_that_follows(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as url, a_page(url) as page:
        # Products with pictures, prices, both languages, the credit, and the word on Chinese search.
        assert await page.locator("#grid li").count() > 10
        await expect(page.locator("#grid img").first).to_have_attribute("alt", await first_title(page))
        await expect(page.locator("#trending img[src]").first).to_have_js_property("naturalWidth", 320)
        assert "€" in await page.locator("#grid .price").first.inner_text()
        assert await page.locator("#grid .title-zh").count() > 10
        await expect(page.locator("footer")).to_contain_text("OpenMoji")
        await expect(page.locator("#multilingual")).to_be_visible()

        # A click opens the product and makes the list personal, with its reasons, without a reload.
        clicked = await first_title(page)
        await page.locator("#grid li button").first.click()
        await expect(page.locator("#product-title")).to_have_text(clicked)
        await page.get_by_role("button", name="Like", exact=True).click()
        await expect(page.locator("#product-done")).to_contain_text("you like it")
        await page.keyboard.press("Escape")
        await expect(page.locator("#freshness")).to_contain_text("ms after it", timeout=CONTENT_WAIT_MS)
        await expect(page.locator("#strategy")).to_be_visible()
        assert await page.locator("#for-you li").count() > 3

        # What is being typed is completed.
        await page.get_by_label("Search for products").press_sequentially("red")
        await expect(page.locator("#suggestions option").first).to_be_attached()

        # Search by words, Chinese ones too; a query that nothing answers says so.
        await page.get_by_label("Search for products").fill("红色")
        await page.keyboard.press("Enter")
        await expect(page.locator("#products-title")).to_contain_text("for “红色”")
        found = await page.locator("#grid .title-zh").all_inner_texts()
        assert [COLOUR_OF[title] for title in found[:3]] == ["red"] * 3
        await page.get_by_label("Search for products").fill("zzzyqx")
        await page.keyboard.press("Enter")
        await expect(page.locator("#grid-empty")).to_be_visible()


async def first_title(page: Page) -> str:
    return await page.locator("#grid .title").first.inner_text()


async def test_markup_in_a_product_stays_text(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as url, a_page(url) as page:
        await page.get_by_label("Search for products").fill("lamp onerror")
        await page.keyboard.press("Enter")
        await page.locator("#grid").get_by_role("button", name=HOSTILE["title"]).click()

        await expect(page.locator("#product-title")).to_have_text(HOSTILE["title"])
        assert await page.evaluate("window.hacked") is None
        assert await page.locator("#product-title img, #grid i, #grid b").count() == 0


async def test_the_page_fits_a_phone_and_works_by_keyboard(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as url, a_page(url, viewport=PHONE) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

        await page.locator("#grid li button").first.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#product")).to_be_hidden()
