"""Product feeds of every format, sound and broken."""

import contextlib
import gzip
import json
import lzma
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.events import Price, Product
from streams.feeds.feed import READERS, read_feed
from streams.feeds.rows import FeedRow
from streams.text_files import MAX_LINE_CHARS

NOW_MS = 1_795_435_200_000
MERCHANT = (
    "id\ttitle\tdescription\tlink\timage link\tadditional_image_link\tavailability\tprice\tsale_price\t"
    "sale_price_effective_date\tbrand\tgoogle_product_category\tproduct_type\titem_group_id\tcolor\tsize\tgtin\n"
    'a-1\tLamp 27" wide\tWarm\thttps://s/a\thttps://s/a.jpg\thttps://s/b.jpg,https://s/c.jpg\tin_stock\t59.90 EUR\t'
    "49.90 EUR\t2026-11-01T00:00Z/2026-12-01T00:00Z\tGarant\t594\tHome > Lamps\tg-1\tred\tL\t4006381333931\n"
    "a-2\tSofa\t\thttps://s/s\t\t\tout of stock\tEUR 5\t4 EUR\t2020-01-01T00:00Z/2020-02-01T00:00Z\t\tFurniture > Sofas"
    "\t\t\t\t\t\n"
)
RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
<item><g:id>a-1</g:id><title>Lamp</title><link>https://s/a</link><g:image_link>https://s/a.jpg</g:image_link>
<g:additional_image_link>https://s/b.jpg</g:additional_image_link>
<g:additional_image_link>https://s/c.jpg</g:additional_image_link>
<g:price>59.90 EUR</g:price><g:availability>in_stock</g:availability>
<g:product_type>Home &gt; Lamps</g:product_type></item>
<item><title>No id</title></item>
</channel></rss>"""
JSON_LD = {
    "@context": "https://schema.org",
    "@type": "Product",
    "sku": "a-1",
    "name": "Lamp",
    "image": ["https://s/a.jpg", {"@type": "ImageObject", "url": "https://s/b.jpg"}],
    "brand": {"@type": "Brand", "name": "Garant"},
    "color": "red",
    "offers": [{"price": 59.9, "priceCurrency": "EUR", "availability": "https://schema.org/InStock"}],
}


def rows(folder: Path, name: str, content: str | bytes) -> list[FeedRow]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_feed(path, now_ms=NOW_MS))


def products(found: list[FeedRow]) -> list[Product]:
    assert not [row for row in found if row.product is None]
    return [row.product for row in found if row.product is not None]


def test_google_merchant_tsv(tmp_path: Path) -> None:
    lamp, sofa = products(rows(tmp_path, "feed.tsv", MERCHANT))

    assert lamp == Product(
        item_id="a-1",
        title='Lamp 27" wide',
        description="Warm",
        category=("Home", "Lamps"),
        brand="Garant",
        price=Price(49.9, "EUR"),
        images=("https://s/a.jpg", "https://s/b.jpg", "https://s/c.jpg"),
        attributes={"colour": "red", "size": "L", "gtin": "4006381333931"},
        group_id="g-1",
        url="https://s/a",
    )
    assert (sofa.price, sofa.available, sofa.category) == (Price(5.0, "EUR"), False, ("Furniture", "Sofas"))


def test_csv_with_our_names(tmp_path: Path) -> None:
    content = (
        "item_id;title;category;price;currency;image;tags;available;created_at;attributes.colour\n"
        'sku-1;"Apple; green";Fruit|Apple;2,50;eur;data:image/png;organic, fresh;no;2026-11-23T12:00:00Z;green\n'
    )

    assert products(rows(tmp_path, "feed.csv", content)) == [
        Product(
            item_id="sku-1",
            title="Apple; green",
            category=("Fruit", "Apple"),
            price=Price(2.5, "EUR"),
            images=("data:image/png",),
            tags=("organic", "fresh"),
            attributes={"colour": "green"},
            available=False,
            created_at_ms=NOW_MS,
        )
    ]


def test_json_lines_are_messages(tmp_path: Path) -> None:
    found = rows(
        tmp_path, "feed.jsonl", '{"item_id": "a", "title": "A"}\n\n{"item_id": 1}\nhello\n{"id": "b", "name": "B"}'
    )

    assert [(row.row, row.reason) for row in found] == [(1, ""), (3, "wrong-type"), (4, "malformed-json"), (5, "")]


def test_rss_with_google_names(tmp_path: Path) -> None:
    lamp, nameless = rows(tmp_path, "feed.xml", RSS)

    assert lamp.product == Product(
        item_id="a-1",
        title="Lamp",
        category=("Home", "Lamps"),
        price=Price(59.9, "EUR"),
        images=("https://s/a.jpg", "https://s/b.jpg", "https://s/c.jpg"),
        url="https://s/a",
    )
    assert (nameless.row, nameless.reason) == (2, "missing-field")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("feed.jsonld", json.dumps(JSON_LD)),
        ("feed.json", json.dumps({"@graph": [{"@type": "WebPage"}, JSON_LD]})),
        ("feed.json", json.dumps({"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": JSON_LD}]})),
        (
            "page.html",
            f"<h1>Lamp</h1><script type='application/ld+json'>{json.dumps(JSON_LD)}</script><script>x</script>",
        ),
    ],
)
def test_schema_org(tmp_path: Path, name: str, content: str) -> None:
    assert products(rows(tmp_path, name, content)) == [
        Product(
            item_id="a-1",
            title="Lamp",
            brand="Garant",
            price=Price(59.9, "EUR"),
            images=("https://s/a.jpg", "https://s/b.jpg"),
            attributes={"colour": "red"},
        )
    ]


def test_a_list_of_our_own_products(tmp_path: Path) -> None:
    found = rows(tmp_path, "feed.json", '[{"item_id": "a", "title": "A"}, {"item_id": "b"}]')

    assert [(row.row, row.reason) for row in found] == [(1, ""), (2, "missing-field")]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_feeds(tmp_path: Path, suffix: str, compress: object) -> None:
    packed = compress(MERCHANT.encode())  # type: ignore[operator]

    assert len(products(rows(tmp_path, f"feed.tsv{suffix}", packed))) == 2
    with pytest.raises(ConfigError, match="damaged or cut off"):
        rows(tmp_path, f"cut.tsv{suffix}", packed[:-20])
    with pytest.raises(ConfigError, match="damaged or cut off"):
        rows(tmp_path, f"wrong.tsv{suffix}", b"id\ttitle\n")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a,\xe9t\xe9,1 EUR,", "not-utf8"),
        (b"a,T,cheap,", "wrong-type"),
        (b"a,T,1299,", "missing-field"),
        (b'a,T,"1,299 EUR",', "wrong-type"),
        (b"a,T,-1 EUR,", "wrong-type"),
        (b"a,T,,maybe", "wrong-type"),
        (b",T,,", "missing-field"),
        (b"a,,,", "missing-field"),
        (b"a" * 257 + b",T,,", "invalid-id"),
        (b"a,T,,,too,many", "malformed-row"),
        (b"a," + b"x" * (MAX_LINE_CHARS + 5) + b",,", "too-large"),
        (b"a\x00,T,,", "invalid-id"),
    ],
)
def test_a_bad_row_is_refused_and_the_next_is_read(tmp_path: Path, row: bytes, reason: str) -> None:
    found = rows(tmp_path, "feed.csv", b"id,title,price,availability\n" + row + b"\nb,Good,,\n")

    assert [(each.row, each.reason) for each in found] == [(1, reason), (2, "")]
    assert found[0].text.endswith(".")


def test_an_unclosed_quote_costs_what_it_swallows(tmp_path: Path) -> None:
    found = rows(tmp_path, "feed.csv", 'id,title\na,"open\n' + ("x" * 99 + "\n") * 10_600 + "b,B\n" * 5)

    assert found[0].reason == "malformed-row"
    assert found[-1].product == Product(item_id="b", title="B")


@pytest.mark.parametrize("content", ["", "\n\n", "title,price\nA,1\n"])
def test_a_table_without_ids_is_the_users_mistake(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError):
        rows(tmp_path, "feed.csv", content)


def test_a_table_from_a_spreadsheet(tmp_path: Path) -> None:
    content = "id\ttitle\r\na\tÄpfel\r\n"

    for encoded in (content.encode("utf-16"), content.encode("utf-8-sig")):
        assert products(rows(tmp_path, "feed.txt", encoded)) == [Product(item_id="a", title="Äpfel")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("feed.parquet", b"PAR1"),
        ("feed", b""),
        ("feed.json", b"{"),
        ("feed.json", b"[" * 100_000),
        ("feed.json", b"\xff"),
        ("feed.html", b"<p>nothing</p>"),
        ("feed.xml", b"<rss><item>"),
        ("feed.xml", b""),
        ("feed.xml", b'<!DOCTYPE a [<!ENTITY a "b">]><rss><item>&a;</item></rss>'),
        ("feed.xml", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><rss/>'),
    ],
)
def test_a_file_that_is_no_feed_gets_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        rows(tmp_path, name, content)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "none.xml.gz", tmp_path / "folder.csv"):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="cannot be read"):
            list(read_feed(path, now_ms=NOW_MS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    name=st.sampled_from([f"f{suffix}" for suffix in READERS]), content=st.binary(max_size=300), is_headed=st.booleans()
)
def test_no_content_whatever_raises_anything_else(tmp_path: Path, name: str, content: bytes, is_headed: bool) -> None:
    with contextlib.suppress(ConfigError):
        rows(tmp_path, name, (b"id,title\n" if is_headed else b"") + content)


def test_a_long_feed_is_never_held_whole(tmp_path: Path) -> None:
    item = "<item><g:id>{0}</g:id><title>A fine lamp, number {0}</title></item>"
    body = "".join(item.format(number) for number in range(5_000))
    (tmp_path / "feed.xml").write_text(f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{body}</channel></rss>')
    (tmp_path / "feed.csv").write_text("id,title\n" + "".join(f"{n},A fine lamp number {n}\n" for n in range(5_000)))

    for name in ("feed.xml", "feed.csv"):
        tracemalloc.start()
        count = sum(1 for row in read_feed(tmp_path / name, now_ms=NOW_MS) if row.product)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 5_000
        assert peak_bytes < 1_500_000


def test_the_real_shops_products(real_data: Path) -> None:
    found = list(read_feed(real_data / "online-retail" / "items.csv.xz", now_ms=NOW_MS))

    assert len(products(found)) == 3659
    films = products(list(read_feed(real_data / "ml-latest-small" / "items.csv.xz", now_ms=NOW_MS)))
    assert len(films) == 9125
    assert any(len(film.category) > 1 for film in films)
