"""Search through the routes: whose taste orders it, what goes with a product, and what is suggested while one types."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recsys.suggest import FEWEST_ASKED
from tests.gateway.harness import Harness
from tests.gateway.test_app import filled, problem_of


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Harness]:
    async with filled(tmp_path, with_worker=True) as harness:
        yield harness


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Harness]:
    async with filled(tmp_path, with_worker=False) as harness:
        yield harness


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


async def click(shop: Harness, user_id: str, *item_ids: str) -> None:
    clicks = [{"user_id": user_id, "item_id": item_id, "type": "click"} for item_id in item_ids]
    assert (await shop.client.post("/v1/clicks", json=clicks)).status_code == 202

    async def is_known():
        return await shop.parts.store.get_user(user_id)

    await shop.until(is_known)


async def test_an_equally_good_answer_comes_first_for_the_user_who_knows_it(shop: Harness):
    await click(shop, "ann", "shoe")
    query = {"text": "fine", "n": 4}

    assert ids(await shop.client.post("/v1/search", json={**query, "user_id": "ann"}))[0] == "shoe"
    assert ids(await shop.client.post("/v1/search", json={**query, "n": 1, "user_id": "ann"})) == ["shoe"]
    assert set(ids(await shop.client.post("/v1/search", json=query))) == {"lamp", "bulb", "boot", "shoe"}
    form = {"text": (None, "fine"), "user_id": (None, "ann")}
    assert ids(await shop.client.post("/v1/search", files=form))[0] == "shoe"


async def test_a_user_never_seen_is_answered_like_anybody(door: Harness):
    query = {"text": "fine boot"}

    assert ids(await door.client.post("/v1/search", json={**query, "user_id": "never seen"})) == ids(
        await door.client.post("/v1/search", json=query)
    )
    problem_of(await door.client.post("/v1/search", json={**query, "user_id": "x" * 10_000}), 422)


async def test_what_is_touched_together_complements_a_product_other_kinds_first(shop: Harness):
    for user in ("ann", "bob"):
        await click(shop, user, "lamp", "bulb", "boot")

    async def complements():
        found = ids(await shop.client.get("/v1/items/lamp/similar", params={"kind": "complement"}))
        return found if len(found) == 2 else None

    assert await shop.until(complements) == ["boot", "bulb"]


async def test_nothing_complements_a_product_that_nobody_touched(door: Harness):
    assert ids(await door.client.get("/v1/items/lamp/similar", params={"kind": "complement"})) == []
    problem_of(await door.client.get("/v1/items/lamp/similar", params={"kind": "opposite"}), 422)


async def test_a_query_is_completed_and_its_spelling_mended(door: Harness):
    answer = (await door.client.get("/v1/search/suggest", params={"q": "fine bo"})).json()
    assert answer["queries"] == ["fine boot"]
    assert answer["items"] == [{"item_id": "boot", "title": "A fine boot"}]
    assert answer["did_you_mean"] is None

    found = (await door.client.post("/v1/search", json={"text": "fien boot"})).json()
    assert found["items"][0]["item_id"] == "boot"
    assert found["did_you_mean"] == "fine boot"


async def test_queries_that_were_asked_often_are_suggested_unless_they_hold_words_that_no_product_has(door: Harness):
    for text in ("boot fine", "boot of mary@example.org"):
        for _ in range(FEWEST_ASKED):
            await door.client.post("/v1/search", json={"text": text})

    answer = (await door.client.get("/v1/search/suggest", params={"q": "boo"})).json()

    assert answer["queries"] == ["boot fine", "boot"]
