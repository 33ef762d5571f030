"""The HTTP contract: what goes in is durable, what comes out is fresh, what is wrong gets its sentence."""

import asyncio
import contextlib
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recsys.events import Price
from streams import processes, topics
from streams.agents.partition import read_to_end
from streams.dead_letters import RESENT_HEADER
from streams.settings import Settings
from streams.stores.redis import ListWrite
from streams.wire.click import REPLAYED
from tests.builders import a_product
from tests.gateway.harness import Harness, running_gateway

SHOP_ITEMS = ("lamp", "bulb", "boot", "shoe")


def open_settings(tmp_path: Path, **changes) -> Settings:
    return Settings(data_dir=tmp_path, partitions=2, text_encoder="none", image_encoder="none", **changes)


@pytest.fixture
def quick_relist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists lose hidden products sooner than a shop needs it."""
    monkeypatch.setattr(processes, "RELIST_S", 0.3)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Harness]:
    """A gateway and a worker, and four products."""
    async with filled(tmp_path, with_worker=True) as harness:
        yield harness


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Harness]:
    """A gateway without a worker, and four products: starts a second sooner."""
    async with filled(tmp_path, with_worker=False) as harness:
        yield harness


@contextlib.asynccontextmanager
async def filled(tmp_path: Path, *, with_worker: bool) -> AsyncIterator[Harness]:
    async with running_gateway(open_settings(tmp_path), with_worker=with_worker) as harness:
        for number, item_id in enumerate(SHOP_ITEMS):
            kind = "Light" if item_id in ("lamp", "bulb") else "Shoes"
            product = a_product(item_id, category=("Home", kind), price=Price(10.0 * (number + 1), "EUR"))
            await harness.put_product(product, text=[1.0, 0.1] if kind == "Light" else [0.1, 1.0])
        await harness.until(lambda: len(harness.gateway.views.catalogue) == len(SHOP_ITEMS))
        yield harness


async def records_of(shop: Harness, topic: str):
    return [r for p in range(2) for r in await read_to_end(shop.parts.log, topic, p)]


def problem_of(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


async def test_a_click_changes_its_users_list(shop: Harness):
    before = await shop.recommendations("ann")
    answer = await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})

    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "refused": []}
    after = await shop.until(lambda: _newer(shop, "ann", before["version"]))
    assert next(iter(after)) == "version"
    assert after["version"].startswith("0001-0000000000000000-"), "of the click, perhaps made anew since"


async def _newer(shop: Harness, user_id: str, version: str):
    made = await shop.recommendations(user_id)
    return made if made["version"] > version else None


async def test_a_user_never_seen_gets_a_list_and_no_error(door: Harness):
    made = await door.recommendations("nobody-yet", n=3)

    assert made["strategy"] == "trending"
    assert len(made["items"]) == 3


async def test_of_many_objects_the_right_ones_are_taken_and_the_others_named(door: Harness):
    good = {"user_id": "ann", "item_id": "lamp", "type": "click"}
    answer = await door.client.post("/v1/clicks", json=[good, {"user_id": "ann"}, good, 7])

    body = answer.json()
    assert answer.status_code == 202
    assert body["accepted"] == 2
    assert [refusal["index"] for refusal in body["refused"]] == [1, 3]
    assert all(refusal["reason"] and refusal["text"] for refusal in body["refused"])
    assert len(await records_of(door, topics.CLICKS)) == 2


async def test_all_refused_is_422_with_the_same_body(door: Harness):
    answer = await door.client.post("/v1/products", json=[{"title": "no id"}])

    assert answer.status_code == 422
    assert answer.json()["accepted"] == 0
    assert answer.json()["refused"][0]["reason"] == "missing-field"


async def test_a_ga4_order_becomes_one_click_per_item(door: Harness):
    order = {
        "name": "purchase",
        "user_id": "ann",
        "params": {"transaction_id": "t1", "items": [{"item_id": "lamp"}, {"item_id": "boot"}]},
    }
    assert (await door.client.post("/v1/clicks", json=order)).status_code == 202

    clicks = [json.loads(record.value) for record in await records_of(door, topics.CLICKS)]
    assert {click["item_id"] for click in clicks} == {"lamp", "boot"}
    assert {click["type"] for click in clicks} == {"purchase"}


async def test_products_are_appended_under_their_id(door: Harness):
    answer = await door.client.post("/v1/products", json={"item_id": "new", "title": "A new one"})

    assert answer.status_code == 202
    [record] = await records_of(door, topics.PRODUCTS)
    assert record.key == b"new"
    await door.client.delete("/v1/products/new")
    assert (await records_of(door, topics.PRODUCTS))[-1].value is None


async def test_a_repeated_idempotency_key_counts_once(door: Harness):
    body = {"user_id": "ann", "item_id": "lamp", "type": "click"}
    answers = [await door.client.post("/v1/clicks", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {202}
    assert len(await records_of(door, topics.CLICKS)) == 1
    other = await door.client.post("/v1/clicks", json=body | {"item_id": "boot"}, headers={"Idempotency-Key": "k1"})
    problem_of(other, 422)


async def test_a_letter_that_is_sent_again_keeps_its_place(door: Harness):
    product = {"item_id": "lamp", "title": "Lamp"}
    await door.client.post("/v1/products", json=product, headers={"Freshet-Resent": "3:7"})

    partition = door.parts.log.partition_for(b"lamp", door.parts.settings.partitions)
    [record] = await read_to_end(door.parts.log, topics.PRODUCTS, partition)
    assert (RESENT_HEADER, b"3:7") in record.headers
    assert (await door.client.post("/v1/products", json=product, headers={"Freshet-Resent": "x"})).status_code == 422


async def test_a_picture_that_is_too_large_is_413(door: Harness):
    product = {"item_id": "lamp", "title": "Lamp", "image": "data:image/png;base64," + "A" * 720_000}
    answer = await door.client.post("/v1/products", json=product)

    assert answer.status_code == 413
    assert answer.json()["refused"][0]["reason"] == "too-large"
    assert (await door.client.post("/v1/products", json=[product, {"item_id": "x"}])).status_code == 422


async def test_a_session_takes_the_names_that_clicks_take(door: Harness):
    items = [{"item_id": "lamp", "type": "view_item"}, {"item_id": "shoe", "type": "Product Added"}]
    assert (await door.client.post("/v1/sessions/recommendations", json={"items": items})).status_code == 200

    answer = await door.client.post("/v1/sessions/recommendations", json={"items": [{"item_id": "x", "type": "nod"}]})
    assert answer.status_code == 422
    assert "'nod'" in answer.json()["detail"]


async def test_old_events_are_marked_as_a_replay_where_the_request_says_so(door: Harness):
    body = {"user_id": "ann", "item_id": "lamp", "type": "click"}
    await door.client.post("/v1/clicks", json=body)
    await door.client.post("/v1/clicks", json=body, headers={"Freshet-Replay": "1"})

    partition = door.parts.log.partition_for(b"ann", door.parts.settings.partitions)
    records = await read_to_end(door.parts.log, topics.CLICKS, partition)
    assert [REPLAYED in record.headers for record in records] == [False, True]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"[{}, ", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"[" + b"{}," * 1000 + b"{}]", "application/json", 413),
        (b" " * (8 * 2**20 + 1), "application/json", 413),
    ],
)
@pytest.mark.parametrize("path", ["/v1/clicks", "/v1/products", "/v1/activities"])
async def test_bad_bodies_get_an_answer_and_nothing_is_appended(door: Harness, path, body, content_type, status):
    answer = await door.client.post(path, content=body, headers={"content-type": content_type})

    assert answer.status_code == status
    assert answer.json()
    assert await records_of(door, topics.CLICKS) == []


async def test_a_list_that_nests_too_deep_is_told_so(door: Harness):
    answer = await door.client.post("/v1/clicks", content=b"[" * 100_000, headers={"content-type": "application/json"})

    assert answer.json()["code"] == "too-deep"


async def test_categories_exclusions_and_the_page_shape_the_list(door: Harness):
    shoes = await door.recommendations("ann", category="Shoes")
    assert {item["item_id"] for item in shoes["items"]} == {"boot", "shoe"}
    both = await door.recommendations("ann", category=["Shoes", "Light"], exclude=["boot", "lamp"])
    assert {item["item_id"] for item in both["items"]} == {"shoe", "bulb"}
    page = await door.recommendations("ann", item_id="lamp")
    assert "lamp" not in {item["item_id"] for item in page["items"]}


async def test_a_hidden_product_is_gone_from_every_answer_within_a_second(shop: Harness):
    await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})
    await shop.until(lambda: _newer(shop, "ann", "0000-0000000000000000-00000000"))
    await shop.put_product(a_product("lamp", available=False))
    await shop.until(lambda: not shop.gateway.views.catalogue.is_visible("lamp"))

    answers = [
        await shop.recommendations("ann", n=50),
        (await shop.client.get("/v1/trending")).json(),
        (await shop.client.post("/v1/search", json={"text": "fine lamp"})).json(),
        (await shop.client.get("/v1/items/bulb/similar")).json(),
    ]
    assert all("lamp" not in {item["item_id"] for item in answer["items"]} for answer in answers)
    problem_of(await shop.client.get("/v1/items/lamp"), 404)


async def test_a_guest_gets_a_list_from_the_session_alone(door: Harness):
    answer = await door.client.post(
        "/v1/sessions/recommendations", json={"items": [{"item_id": "lamp", "type": "view"}], "n": 2}
    )

    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 2
    assert await records_of(door, topics.CLICKS) == []


async def test_similar_products_share_their_content(door: Harness):
    answer = await door.client.get("/v1/items/lamp/similar", params={"n": 1})

    assert [item["item_id"] for item in answer.json()["items"]] == ["bulb"]


async def test_search_finds_words_and_filters_cut(door: Harness):
    found = (await door.client.post("/v1/search", json={"text": "boot"})).json()
    assert found["items"][0]["item_id"] == "boot"
    cheap = await door.client.post("/v1/search", json={"text": "fine", "filter": {"price": {"lte": 20}}})
    assert {item["item_id"] for item in cheap.json()["items"]} == {"lamp", "bulb"}
    form = await door.client.post("/v1/search", files={"text": (None, "boot"), "n": (None, "1")})
    assert [item["item_id"] for item in form.json()["items"]] == ["boot"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": 7},
        {"text": "x", "n": 0},
        {"text": "x", "n": 101},
        {"text": "x", "filter": {"colour": "red"}},
        {"image": "file:///etc/passwd"},
        {"image": "../secret.png"},
        {"image": "data:image/png;base64,!!!"},
        {"image": "http://127.0.0.1/x.png"},
    ],
)
async def test_a_wrong_search_is_a_problem(door: Harness, body):
    problem_of(await door.client.post("/v1/search", json=body), 422)


async def test_a_stream_sends_the_list_and_its_changes(shop: Harness):
    # httpx's in-process transport collects a whole answer, so the generator is read directly.
    from gateway.routes.recommendations import _events

    events = _events(shop.gateway, "ann", 3, "")
    first = await anext(events)
    assert first.startswith(b"event: recommendations\nid: 0000-")
    waiting = asyncio.ensure_future(anext(events))
    await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})
    second = await asyncio.wait_for(waiting, 20)
    assert b"id: 0001-" in second
    await events.aclose()


async def test_health_readiness_metrics_and_openapi(door: Harness):
    assert (await door.client.get("/healthz")).status_code == 200
    await door.until(lambda: _is_ready(door))
    ready = await door.client.get("/readyz")
    assert ready.json()["versions"]["ranker"]
    assert "freshet_http_requests_total" in (await door.client.get("/metrics")).text
    paths = (await door.client.get("/openapi.json")).json()["paths"]
    assert {"/v1/products", "/v1/clicks", "/v1/search", "/v1/trending", "/healthz"} <= set(paths)


async def test_the_description_names_the_problems_that_a_route_may_answer_with(door: Harness):
    paths = (await door.client.get("/openapi.json")).json()["paths"]

    def problems(method: str, path: str) -> set[str]:
        answers = paths[path][method]["responses"]
        return {status for status, answer in answers.items() if "application/problem+json" in answer.get("content", {})}

    always = {"401", "403", "422", "503"}
    assert problems("get", "/v1/trending") == always
    assert problems("get", "/v1/items/{item_id}") == problems("get", "/v1/items/{item_id}/similar") == always | {"404"}
    for path in ("/v1/products", "/v1/clicks", "/v1/activities", "/v1/search", "/v1/sessions/recommendations"):
        assert problems("post", path) == always | {"413", "415"}
    assert problems("get", "/metrics") == {"401", "403"}
    assert problems("get", "/healthz") == set()


async def test_the_page_that_describes_the_routes_needs_nobody_else(door: Harness):
    page = await door.client.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text

    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [file for file in files if file.endswith(".js")]
    for file in files:
        assert (await door.client.get(file)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/items/{}", "/v1/items/{}/similar", "/v1/users/{}/recommendations"])
@pytest.mark.parametrize("bad_id", ["a%0Ab", "a%0A", "%0A", "a%0D%0Ab", "a%00", "a%7F", "x" * 300])
async def test_what_is_no_id_in_a_path_is_told_so(door: Harness, path: str, bad_id: str):
    assert problem_of(await door.client.get(path.format(bad_id)), 422)["code"] == "invalid-id"


async def test_what_is_no_id_is_not_deleted(door: Harness):
    assert problem_of(await door.client.delete("/v1/products/a%0Ab"), 422)["code"] == "invalid-id"
    assert await records_of(door, topics.PRODUCTS) == []


@pytest.mark.parametrize("route", ["/v1/products", "/v1/clicks", "/v1/search", "/v1/sessions/recommendations"])
async def test_a_compressed_body_is_415_and_told_what_to_do(door: Harness, route: str):
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await door.client.post(route, content=gzip.compress(b"{}"), headers=headers)

    assert "without Content-Encoding" in problem_of(answer, 415)["detail"]


@pytest.mark.parametrize("item_id", ["", "a\n", "x" * 300])
async def test_what_is_no_id_in_a_session_is_told_so(door: Harness, item_id: str):
    answer = await door.client.post("/v1/sessions/recommendations", json={"items": [{"item_id": item_id}]})

    assert problem_of(answer, 422)["code"] == "invalid-id"


async def test_a_page_context_that_is_no_id_is_told_so(door: Harness):
    answer = await door.client.get("/v1/users/ann/recommendations", params={"item_id": "a\n"})

    assert problem_of(answer, 422)["code"] == "invalid-id"


async def test_half_a_character_in_a_list_is_told_so_too(door: Harness):
    body = b'[{"item_id": "\\udc00x", "title": "x"}]'
    answer = await door.client.post("/v1/products", content=body, headers={"content-type": "application/json"})

    assert "half a character" in problem_of(answer, 422)["detail"]


@pytest.mark.parametrize("route", ["/v1/products", "/v1/clicks", "/v1/search", "/v1/sessions/recommendations"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"item_id":', "ends too early"),
        (b'{"item_id": "\\ud800", "title": "x"}', "half a character"),
    ],
)
async def test_a_body_that_is_no_json_is_told_so_in_plain_words(door: Harness, route: str, body: bytes, words: str):
    answer = await door.client.post(route, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert words in answer.text


async def test_unknown_routes_and_bad_parameters_are_problems(door: Harness):
    problem_of(await door.client.get("/v1/nothing"), 404)
    problem_of(await door.client.get("/v1/users/ann/recommendations", params={"n": 0}), 422)
    problem_of(await door.client.get("/v1/users/ann/recommendations", params={"n": 1000}), 422)
    problem_of(await door.client.get(f"/v1/users/{'a' * 300}/recommendations"), 422)
    problem_of(await door.client.get("/v1/items/unknown"), 404)
    problem_of(await door.client.get("/media/../../etc/passwd"), 404)


async def test_keys_open_what_their_role_may(tmp_path: Path):
    settings = open_settings(tmp_path, api_keys=("shop:s-key", "reader:r-key", "admin:a-key"))
    async with running_gateway(settings, with_worker=False) as shop:
        click = {"user_id": "ann", "item_id": "lamp", "type": "click"}

        async def status(method, path, key, **more):
            headers = {"X-API-Key": key} if key else {}
            return (await shop.client.request(method, path, headers=headers, **more)).status_code

        assert await status("POST", "/v1/clicks", "", json=click) == 401
        assert await status("POST", "/v1/clicks", "wrong", json=click) == 401
        assert await status("POST", "/v1/clicks", "r-key", json=click) == 403
        assert await status("POST", "/v1/clicks", "s-key", json=click) == 202
        assert await status("GET", "/v1/trending", "s-key") == 403
        assert await status("GET", "/v1/trending", "r-key") == 200
        assert await status("GET", "/metrics", "r-key") == 403
        assert await status("GET", "/metrics", "a-key") == 200
        assert await status("GET", "/healthz", "") == 200
        bearer = await shop.client.get("/v1/trending", headers={"Authorization": "Bearer r-key"})
        assert bearer.status_code == 200


async def test_raw_lists_in_redis_lose_a_hidden_product_without_a_click(quick_relist: None, shop: Harness):
    await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})
    before = await shop.until(lambda: _raw_list(shop, "ann"))
    assert "boot" in {item["item_id"] for item in before["items"]}

    await shop.put_product(a_product("boot", available=False))

    after = await shop.until(lambda: _raw_list(shop, "ann", newer_than=before["version"]))
    assert "boot" not in {item["item_id"] for item in after["items"]}
    assert after["trigger"] is None
    assert after["version"] == before["version"][:-8] + "00000001"


async def _raw_list(shop: Harness, user_id: str, newer_than: str = ""):
    packed = await shop.parts.store.get_list(user_id)
    made = json.loads(packed) if packed else None
    return made if made and made["version"] > newer_than else None


async def test_popular_and_similar_items_stand_in_redis(shop: Harness):
    await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})

    async def trending():
        return await shop.parts.store.get_trending(5)

    async def similar():
        return await shop.parts.store.get_similar("lamp")

    assert (await shop.until(trending))[0][0] == "lamp"
    assert json.loads(await shop.until(similar))[0]["item_id"] == "bulb"


async def test_a_gateway_on_an_embedded_redis_is_ready_once_that_has_its_lists_again(tmp_path: Path):
    async with filled(tmp_path, with_worker=True) as shop:
        await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})
        await shop.until(lambda: _raw_list(shop, "ann"))

    async with running_gateway(open_settings(tmp_path), with_worker=False) as shop:
        answer = await shop.client.get("/readyz")
        assert answer.status_code == 503
        await shop.until(lambda: "lists" in shop.gateway.wholeness.lacking[0])
        partition = shop.parts.log.partition_for(b"ann", 2)
        lacking = (await shop.client.get("/readyz")).json()["redis"]
        assert lacking == {"whole": False, "lacking": [f"lists of partition {partition}"]}
        assert (await shop.recommendations("ann"))["strategy"] == "trending"

    async with running_gateway(open_settings(tmp_path)) as shop:
        await shop.until(lambda: _is_ready(shop))
        assert await _raw_list(shop, "ann")


async def _is_ready(shop: Harness) -> bool:
    return (await shop.client.get("/readyz")).status_code == 200


async def test_a_restarted_worker_serves_quiet_partitions_too(quick_relist: None, tmp_path: Path):
    async with filled(tmp_path, with_worker=True) as shop:
        await shop.client.post("/v1/clicks", json={"user_id": "ann", "item_id": "lamp", "type": "click"})
        before = await shop.until(lambda: _raw_list(shop, "ann"))
        assert "boot" in {item["item_id"] for item in before["items"]}

    async with running_gateway(open_settings(tmp_path)) as shop:
        # The embedded Redis keeps nothing: what a longer-lived one would hold is put back.
        state = (await read_to_end(shop.parts.log, topics.USER_STATE, shop.parts.log.partition_for(b"ann", 2)))[-1]
        packed = json.dumps(before).encode().replace(b'{"version": "', b'{"version":"')
        await shop.parts.store.put_lists([ListWrite("ann", before["version"], packed, state.value)])
        await shop.until(lambda: shop.gateway.views.catalogue.is_visible("boot"))
        shop.offset = 100
        await shop.put_product(a_product("boot", available=False))

        after = await shop.until(lambda: _raw_list(shop, "ann", newer_than=before["version"]))
        assert "boot" not in {item["item_id"] for item in after["items"]}
