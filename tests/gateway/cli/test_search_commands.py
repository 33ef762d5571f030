"""`freshet evaluate-search` and `freshet train projections` on a catalogue in an embedded log."""

import asyncio
import json

import pytest

from recsys.events import Product
from recsys.records import (
    SCHEMA,
    CatalogueFields,
    CatalogueVectors,
    encode_record,
    fields_key,
    pack_vector,
    vectors_key,
)
from streams import topics
from streams.log.base import NewRecord
from streams.log.open import open_log
from streams.settings import Settings
from tests.gateway.cli.command import Freshet
from tests.recsys.index.test_sight import drawn


def unlike_pictures(n):
    return drawn(n, seed=9)[0]


def fill(freshet: Freshet, titles, images=(), texts=(), looks=None):
    """Write products to `catalog` as the embed agent does."""
    settings = Settings(data_dir=freshet.folder / "data")

    async def write():
        log = open_log(settings)
        await log.start()
        try:
            await log.create(topics.all_topics(settings))
            records = []
            for number, title in enumerate(titles):
                item_id = f"p-{number}"
                fields = CatalogueFields(SCHEMA, Product(item_id=item_id, title=title), number, b"")
                records.append(NewRecord(topics.CATALOG, fields_key(item_id), encode_record(fields)))
                if len(images):
                    packed = pack_vector(texts[number]), pack_vector(images[number])
                    look = looks[number] if looks else b""
                    vectors = CatalogueVectors(SCHEMA, b"", number, "t", "i", *packed, look=look)
                    records.append(NewRecord(topics.CATALOG, vectors_key(item_id), encode_record(vectors)))
            await log.append_many(records)
        finally:
            await log.stop()

    asyncio.run(write())


@pytest.fixture
def words_alone(tmp_path):
    return Freshet(tmp_path, {"FRESHET_TEXT_ENCODER": "none"})


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_judged_queries_get_their_marks(words_alone, kind):
    fill(words_alone, ["red lamp", "blue lamp", "bowl"])
    rows = [("lamp", "p-0", 1), ("lamp", "p-1", 1), ("bowl", "p-2", 3), ("bowl", "p-0", 0), ("sofa", "p-1", 1)]
    file = words_alone.folder / f"judged.{kind}"
    if kind == "csv":
        file.write_text("query,item_id,grade\n" + "".join(f"{q},{i},{g}\n" for q, i, g in rows))
    else:
        file.write_text("\n".join(json.dumps({"query": q, "item_id": i, "grade": g}) for q, i, g in rows))

    outcome = words_alone("evaluate-search", file)

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("0.667") == 3, "two queries are answered rightly, the third not at all"


@pytest.mark.parametrize(
    ("text", "says"),
    [("query,item_id\n", "no judgements"), ("query,sku\na,b\n", "item_id"), ("query,item_id,grade\na,b,c\n", "line 2")],
)
def test_judgements_that_cannot_be_read_are_told_in_a_sentence(words_alone, text, says):
    file = words_alone.folder / "judged.csv"
    file.write_text(text)

    outcome = words_alone("evaluate-search", file)

    assert outcome.code == 1
    assert says in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_projections_are_reported_with_their_held_out_pairs(freshet):
    images, texts = drawn(100, noise=0.1)
    fill(freshet, ["a lamp"] * 100, images, texts)

    outcome = freshet("train", "projections")

    assert (outcome.code, outcome.err) == (0, "")
    assert "pairs of a picture and a text" in outcome.out
    assert "not used" not in outcome.out


def test_projections_are_drawn(freshet):
    images, texts = drawn(100, noise=0.1)
    fill(freshet, ["a lamp"] * 100, images, texts)
    file = freshet.folder / "ranks.png"

    outcome = freshet("train", "projections", "--plot", file)

    assert (outcome.code, outcome.err) == (0, "")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_is_one_sentence_before_any_work(freshet):
    outcome = freshet("train", "projections", "--plot", freshet.folder / "ranks.txt")

    assert (outcome.code, outcome.out) == (1, "")
    assert "named by its format" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_map_that_is_no_better_than_chance_is_said_not_to_be_used(freshet):
    _, texts = drawn(100)
    fill(freshet, ["a lamp"] * 100, unlike_pictures(100), texts)

    assert "not used" in freshet("train", "projections").out


def test_a_shop_without_pictures_is_told_so(freshet):
    fill(freshet, ["a lamp"])

    outcome = freshet("train", "projections")

    assert outcome.code == 1
    assert "nothing to learn from" in outcome.err


def test_products_that_show_the_same_picture_are_listed(words_alone):
    images = unlike_pictures(4)
    looks = [b"12345678", b"abcdefgh", b"12345678", b"ABCDEFGH"]
    fill(words_alone, ["red lamp", "blue lamp", "red lamp again", "bowl"], images[[0, 1, 0, 2]], images, looks)

    table, as_json = words_alone("duplicates"), words_alone("duplicates", "--json")

    assert "p-0, p-2" in table.out
    assert "2 products share a picture with another" in table.out
    assert json.loads(as_json.out) == [["p-0", "p-2"]]


def test_a_shop_without_pictures_has_none_twice(words_alone):
    fill(words_alone, ["red lamp"])

    outcome = words_alone("duplicates")

    assert (outcome.code, outcome.err) == (0, "")
    assert "No two products" in outcome.out
