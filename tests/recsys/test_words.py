import pytest

from recsys.search import SearchQuery, search
from recsys.types import ItemRow
from recsys.words import WordIndex, tokens
from tests.builders import a_product
from tests.recsys.products import fields, stocked


def words_of(*texts: str) -> WordIndex:
    words = WordIndex()
    for row, text in enumerate(texts):
        words.put(ItemRow(row), a_product(title=text))
    return words


def found(words: WordIndex, text: str) -> list[int]:
    rows, scores = words.search(text)
    return [row for _, row in sorted(zip(-scores, rows.tolist(), strict=True))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("红苹果", ["红", "苹", "果", "红苹", "苹果"]),
        ("iPhone15手机壳", ["iphone15", "手", "机", "壳", "手机", "机壳"]),
        ("d'été, rock’n’roll", ["d'été", "rock’n’roll"]),
        ("Boots, BERRIES glass bus shoes", ["boot", "berry", "glass", "bus", "shoe"]),
        ("___ - !", []),
    ],
)
def test_tokens_of_any_script(text, expected):
    assert list(tokens(text)) == expected


def test_chinese_is_found_by_a_part_of_a_title_without_spaces():
    words = words_of("新鲜红苹果一公斤", "青苹果", "红色台灯", "苹头果尾", "梨")

    assert found(words, "红苹果")[0] == 0
    assert found(words, "苹果")[:2] == [1, 0]
    assert 4 not in found(words, "红苹果")


def test_rare_words_weigh_more_than_common_ones():
    words = words_of("red lamp", "red shoe", "red sofa", "blue shoe")

    assert found(words, "red lamp")[0] == 0
    assert found(words, "blue lamp")[0] in (0, 3)


def test_a_title_weighs_more_than_a_description():
    words = WordIndex()
    words.put(ItemRow(0), a_product(title="Lamp shade", description="for a green sofa"))
    words.put(ItemRow(1), a_product(title="Green sofa", description="with a lamp shade"))

    assert found(words, "sofa") == [1, 0]


def test_brand_category_tags_and_attributes_are_found():
    words = WordIndex()
    words.put(
        ItemRow(0),
        a_product(brand="Garant", category=("Fruit", "Apple"), tags=("organic",), attributes={"colour": "green"}),
    )

    assert all(found(words, word) == [0] for word in ("garant", "FRUIT", "organic", "green", "colour"))


def test_replaced_and_removed_texts_leave_nothing_behind():
    words = words_of("red lamp", "blue shoe")
    fresh = words_of("green sofa")
    words.put(ItemRow(0), a_product(title="green sofa"))
    words.remove(ItemRow(1))

    assert found(words, "red lamp blue shoe") == []
    assert words.search("green sofa")[1].tolist() == fresh.search("green sofa")[1].tolist()


def test_scores_stay_in_the_unit_interval():
    words = words_of("lamp " * 50, "lamp shoe", "sofa")

    _, scores = words.search("lamp shoe")
    assert ((scores > 0) & (scores <= 1)).all()


def test_a_price_change_leaves_the_words_as_they_are():
    catalogue = stocked("lamp")
    catalogue.put_fields(fields("lamp", offset=1, url="https://shop.example/lamp"))

    assert [hit.item_id for hit in search(catalogue, SearchQuery(text="lamp"))] == ["lamp"]


@pytest.mark.parametrize("typed", ["lantren", "lanter", "lanternn", "lamtern"])
def test_a_word_with_a_typing_mistake_finds_what_was_meant(typed):
    words = words_of("red lantern", "red lamp", "blue bowl")

    assert found(words, typed) == [0]


def test_a_known_word_never_stands_for_another():
    words = words_of("brown bread", "bread board", "broad beans")

    assert set(found(words, "bread")) == {0, 1}


def test_the_word_meant_counts_for_less_than_the_word_itself():
    words = words_of("red lantern")
    (_, right), (_, wrong) = words.search("lantern"), words.search("lantren")

    assert 0 < wrong[0] < right[0]


def test_words_too_short_or_too_far_stand_for_nothing():
    words = words_of("cup", "chocolate")

    assert found(words, "cap") == []
    assert found(words, "choclxtx") == []
    assert found(words, "choclat") == []
    assert found(words, "chocolat") == [1]


def test_a_removed_word_is_meant_no_more():
    words = words_of("red lantern", "blue bowl")
    words.meant_by("lantren")
    words.remove(ItemRow(0))
    words.put(ItemRow(5), a_product(item_id="other", title="green"))

    assert words.meant_by("lantren") == {}


@pytest.mark.parametrize("query", ["SKU-77/b", "sku-77/B", "do you have sku-77/b today"])
def test_an_item_id_answers_a_query_whole(query):
    words = WordIndex()
    words.put(ItemRow(0), a_product(item_id="sku-77/B", title="lamp"))
    words.put(ItemRow(1), a_product(item_id="sku-7", title="sku 77 b of the other shop, today"))
    rows, scores = words.search(query)

    assert scores[rows == 0] == [1]
    assert scores[rows == 1] < 1
