"""The catalogue's records, the hidden set and the cards, against the messages of `products`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.errors import StateError
from recsys.events import Product
from recsys.records import CatalogueFields, CatalogueVectors, decode_fields, decode_vectors
from streams.agents.content import card_of, content_hash
from streams.log.base import Log
from streams.log.ranges import chunks
from streams.reference import Newest, Place, ProductsReference
from streams.stores.redis import RedisStore
from streams.verify.clicks import Bounds, compare_letter
from streams.verify.report import Report

AT_ONCE = 500
"""Cards asked for in one round trip."""
CHANGED = "they changed after the offsets fixed at the start"


@dataclass
class ProductsCheck:
    """Compares all partitions of `products`; `bounds.acknowledged` is of the embed workers."""

    log: Log
    store: RedisStore
    prefix: str
    bounds: Bounds
    report: Report
    letters: set[Place]
    letters_may_be_gone: bool
    advance: Callable[[int], None] = lambda n: None

    async def run(self) -> None:
        """Compare everything."""
        products, catalog = self.prefix + "products", self.prefix + "catalog"
        settled: dict[str, Newest] = {}
        moving: set[str] = set()
        for partition, end in self.bounds.ends[products].items():
            acknowledged = self.bounds.acknowledged.get(partition, 0)
            reference = ProductsReference()
            for start, stop in ((0, acknowledged), (acknowledged, end)):
                if start:
                    settled |= reference.products
                async for records in chunks(self.log, products, partition, start, stop):
                    for record in records:
                        reference.put(record)
                    self.advance(len(records))
            if acknowledged == 0:
                settled |= reference.products
            moving |= {item_id for item_id, newest in reference.products.items() if newest.place.offset >= acknowledged}
            for place, reason in reference.refused.items():
                if place.offset < acknowledged:
                    check = self.report["dead letters"]
                    compare_letter(check, products, place, reason, self.letters, self.letters_may_be_gone)
            await self._compare_catalogue(catalog, partition, reference, moving)
        settled = {item_id: newest for item_id, newest in settled.items() if item_id not in moving}
        await self._compare_hidden(settled)
        await self._compare_cards(settled)

    async def _compare_catalogue(
        self, catalog: str, partition: int, reference: ProductsReference, moving: set[str]
    ) -> None:
        check = self.report["catalogue"]
        fields: dict[str, CatalogueFields] = {}
        vectors: dict[str, CatalogueVectors] = {}
        async for records in chunks(self.log, catalog, partition, 0, self.bounds.ends[catalog][partition]):
            for record in records:
                part, _, item_id = (record.key or b"").decode().partition(":")
                held: dict[str, CatalogueFields] | dict[str, CatalogueVectors] = fields if part == "f" else vectors
                held.pop(item_id, None)
                try:
                    if record.value is not None and part == "f":
                        fields[item_id] = decode_fields(record.value)
                    elif record.value is not None:
                        found = decode_vectors(record.value)
                        vectors[item_id] = CatalogueVectors(*_without_numbers(found))
                except StateError as error:
                    check.same(False, f"{catalog} [{partition}] at {record.offset}: {error}")
        for item_id, newest in reference.products.items():
            if item_id in moving:
                check.leave_out(CHANGED)
            else:
                problem = _problem(newest, fields.get(item_id), vectors.get(item_id))
                check.same(not problem, f"{item_id} of {newest.place.offset} [{partition}]: {problem}.")
        for item_id in fields.keys() - reference.products.keys():
            check.same(False, f"{item_id} [{partition}] stands in the catalogue; the log has no message of it.")

    async def _compare_hidden(self, settled: dict[str, Newest]) -> None:
        check = self.report["hidden"]
        hidden = await self.store.get_hidden()
        for item_id, newest in settled.items():
            expected = newest.product is None or not newest.product.available
            text = f"{item_id} is {'' if item_id in hidden else 'not '}in the set."
            check.same((item_id in hidden) == expected, text)

    async def _compare_cards(self, settled: dict[str, Newest]) -> None:
        check, item_ids = self.report["cards"], list(settled)
        for start in range(0, len(item_ids), AT_ONCE):
            some = item_ids[start : start + AT_ONCE]
            for item_id, card in zip(some, await self._cards(some), strict=True):
                product = settled[item_id].product
                expected = {} if product is None else card_of(product)
                names = sorted(name for name in expected.keys() | card.keys() if expected.get(name) != card.get(name))
                check.same(not names, f"{item_id} differs in {', '.join(names)}.")

    async def _cards(self, item_ids: Sequence[str]) -> list[dict[str, str]]:
        return await self.store.get_cards(item_ids)


def _without_numbers(vectors: CatalogueVectors) -> tuple[int, bytes, int, str, str, bytes, bytes, tuple[str, ...]]:
    return (
        vectors.schema,
        vectors.content,
        vectors.source_offset,
        vectors.text_encoder,
        vectors.image_encoder,
        b"",
        b"",
        vectors.dropped,
    )


def _problem(newest: Newest, fields: CatalogueFields | None, vectors: CatalogueVectors | None) -> str:
    """What is wrong with what stands of a product; empty where nothing is."""
    product: Product | None = newest.product
    if product is None:
        return "it was deleted and still stands" if fields or vectors else ""
    if fields is None:
        return "it has no fields"
    if fields.source_offset != newest.place.offset:
        return f"its fields are those of {fields.source_offset}"
    if fields.product != product:
        return "its fields differ from its message"
    if vectors is None:
        return "it has no vectors"
    if vectors.content != fields.content:
        return "its vectors belong to other content"
    if vectors.content != content_hash(product, vectors.text_encoder, vectors.image_encoder):
        return "its content is not what the message says"
    return ""
