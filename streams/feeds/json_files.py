"""Feeds as JSON: a product a line, a list of products, or schema.org JSON-LD (a file, or inside a web page)."""

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

import msgspec

from recsys.errors import ConfigError, EventError
from recsys.events import Product
from streams.feeds.columns import product_of
from streams.feeds.rows import FeedRow, refused
from streams.text_files import Lines, open_bytes, open_text
from streams.wire.product import read_product
from streams.wire.reading import decode_object

MAX_DOCUMENT_BYTES = 64 << 20
"""A JSON document is read whole; larger feeds come as JSON Lines."""


def read_json_lines(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """One product a line, as in a message of `products`; empty lines are passed over."""
    with open_text(path) as text:
        lines, number = Lines(text), 0
        while True:
            number += 1
            try:
                line = next(lines)
                if line.strip():
                    yield FeedRow(number, _product(decode_object(line.encode()), now_ms))
            except StopIteration:
                return
            except EventError as error:
                yield refused(number, error)


def read_json_document(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """The products of a JSON or JSON-LD document.

    Raises
    ------
    ConfigError
        The file is no JSON or over 64 MiB.
    """
    yield from _rows(path, [_decoded(path, _read_whole(path))], now_ms)


def read_web_page(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """The products that a web page describes in JSON-LD."""
    page = _ScriptParser()
    page.feed(_read_whole(path).decode(errors="replace"))
    yield from _rows(path, [_decoded(path, script.encode()) for script in page.scripts], now_ms)


def _rows(path: Path, documents: list[object], now_ms: int) -> Iterator[FeedRow]:
    nodes = [node for document in documents for node in _nodes(document)]
    if not nodes:
        raise ConfigError(f"{path} describes no product.")
    for number, node in enumerate(nodes, start=1):
        try:
            yield FeedRow(number, _product(node, now_ms))
        except EventError as error:
            yield refused(number, error)


def _read_whole(path: Path) -> bytes:
    with open_bytes(path) as file:
        content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ConfigError(f"{path} has more than {MAX_DOCUMENT_BYTES >> 20} MiB; write one product a line (.jsonl).")
    return content


def _decoded(path: Path, content: bytes) -> object:
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} holds no sound JSON: {error}.") from error


def _nodes(document: object) -> list[dict[str, object]]:
    """The products in a document: of a list, a `@graph`, an `ItemList`, a `ProductGroup`'s variants, or itself."""
    found: list[dict[str, object]] = []
    waiting: list[object] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += reversed(node)
        elif isinstance(node, dict):
            inner = next(
                (node[name] for name in ("@graph", "itemListElement", "hasVariant", "products") if name in node), None
            )
            if inner is None and isinstance(node.get("item"), dict):
                inner = node["item"]
            if inner is not None:
                waiting.append(inner)
            elif "@type" not in node or _is_product(node):
                found.append(node)
    return found


def _is_product(node: Mapping[str, object]) -> bool:
    kinds = node.get("@type")
    return "Product" in (kinds if isinstance(kinds, list) else [kinds])


def _product(node: Mapping[str, object], now_ms: int) -> Product:
    return _of_json_ld(node, now_ms) if _is_product(node) else read_product(node, now_ms)


def _of_json_ld(node: Mapping[str, object], now_ms: int) -> Product:
    """A schema.org Product, through the same columns as a table."""
    offer = _one(node.get("offers"))
    offer = offer if isinstance(offer, dict) else {}
    images = node.get("image")
    texts = {
        "item_id": _text(node.get("sku")) or _text(node.get("productID")) or _text(node.get("@id")),
        "title": _text(node.get("name")),
        "description": _text(node.get("description")),
        "brand": _text(node.get("brand")),
        "category": _text(node.get("category")),
        "price": _text(offer.get("price")) or _text(offer.get("lowPrice")),
        "currency": _text(offer.get("priceCurrency")),
        "availability": _text(offer.get("availability")),
        "group_id": _text(node.get("inProductGroupWithID")),
        "url": _text(node.get("url")),
    }
    texts |= {name: _text(node.get(name)) for name in ("color", "size", "material", "pattern", "gtin", "gtin13", "mpn")}
    sources = [_text(image) for image in (images if isinstance(images, list) else [images])]
    return product_of(texts, now_ms, sources)


def _one(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _text(value: object) -> str:
    """A text, a number, or the name, address or id of an object."""
    value = _one(value)
    if isinstance(value, dict):
        value = next((value[name] for name in ("name", "url", "contentUrl", "@id") if name in value), "")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


class _ScriptParser(HTMLParser):
    """Collects the texts of `<script type="application/ld+json">`."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script" and (dict(attrs).get("type") or "").strip().lower() == "application/ld+json":
            self._is_inside = True
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._is_inside = False

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.scripts[-1] += data
