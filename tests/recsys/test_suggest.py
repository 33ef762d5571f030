import pytest

from recsys.catalogue import Catalogue
from recsys.suggest import FEWEST_ASKED, PopularQueries, suggest
from tests.recsys.products import fields

TITLES = {
    "a1": "Green apple",
    "a2": "Green apricot",
    "a3": "Red apple",
    "b1": "Fresh strawberries, 500 g",
    "c1": "红苹果",
}


@pytest.fixture
def shop():
    catalogue = Catalogue()
    for item_id, title in TITLES.items():
        catalogue.put_fields(fields(item_id, title=title))
    return catalogue


def asked(*queries):
    popular = PopularQueries()
    for query in queries:
        for _ in range(FEWEST_ASKED):
            popular.add(query)
    return popular


def ids(suggestions):
    return [product.item_id for product in suggestions.products]


def test_the_last_word_is_completed_out_of_titles_that_hold_the_words_before(shop):
    made = suggest(shop, "Green  ap", 10, asked())

    assert list(made.queries) == ["green apple", "green apricot"]
    assert ids(made) == ["a1", "a2"]
    assert made.did_you_mean is None


@pytest.mark.parametrize("typed", ["straw", "strawberri", "strawberries"])
def test_a_plural_is_completed_as_it_is_written(shop, typed):
    assert list(suggest(shop, typed, 10, asked()).queries) == ["strawberries"]


def test_chinese_is_completed_from_its_first_character(shop):
    assert ids(suggest(shop, "红", 10, asked())) == ["c1"]


def test_what_others_asked_comes_first_once_it_was_asked_often_enough(shop):
    popular = asked("apple pie", "apple")
    popular.add("apple tree")

    assert list(suggest(shop, "app", 10, popular).queries) == ["apple", "apple pie"]


def test_a_mistyped_query_is_answered_with_the_known_spelling(shop):
    made = suggest(shop, "grean appel", 10, asked())

    assert (made.queries, made.did_you_mean) == ([], "green apple")


def test_a_single_letter_and_nothing_at_all_suggest_nothing(shop):
    assert suggest(shop, "g", 10, asked()).queries == ()
    assert suggest(shop, " ", 10, asked()).queries == ()


def test_hidden_and_deleted_products_are_not_suggested(shop):
    shop.put_fields(fields("a1", title="Green apple", available=False))
    shop.remove("a2")

    assert ids(suggest(shop, "green", 10, asked())) == []


def test_no_more_than_asked_for_is_suggested(shop):
    made = suggest(shop, "gr", 1, asked())

    assert (len(made.queries), len(made.products)) == (1, 1)


def test_popular_queries_are_bounded_and_keep_the_most_asked():
    popular = PopularQueries(limit=3)
    for number in range(20):
        popular.add("often one")
        popular.add("often two")
        popular.add(f"once {number}")

    assert popular.beginning("often", 9) == ["often one", "often two"]
    assert len(popular._counts) <= 2 * 3 + 1
