"""The catalogue that an evaluation has beside the log: products, with such vectors as the embed agent would make."""

from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.catalogue import Catalogue
    from streams.settings import Settings


def read_items(file: Path, settings: "Settings") -> "Catalogue":
    """The products of a feed, with vectors of their texts but none of pictures; rows that are no product left out."""
    from recsys.catalogue import Catalogue
    from recsys.records import SCHEMA, CatalogueFields
    from streams.feeds.feed import read_feed

    catalogue = Catalogue()
    try:
        products = [row.product for row in read_feed(file, now_ms=0) if row.product is not None]
    except ConfigError:  # a table of ids alone, say
        products = []
    for offset, product in enumerate(products):
        catalogue.put_fields(CatalogueFields(SCHEMA, product, offset, b""))
    if products:
        _embed(catalogue, settings)
    return catalogue


def _embed(catalogue: "Catalogue", settings: "Settings") -> None:
    from encoders.choose import text_encoder
    from gateway.cli.progress import counting
    from recsys.records import SCHEMA, CatalogueVectors, pack_vector
    from streams.agents.content import text_of
    from streams.agents.vectors import PIECE

    encoder = text_encoder(settings.text_encoder, settings.device)
    if encoder is None:
        return
    products = [product for item_id in list(catalogue) if (product := catalogue.get(item_id)) is not None]
    with counting("Texts", len(products)) as advance:
        for start in range(0, len(products), PIECE):
            piece = products[start : start + PIECE]
            for product, vector in zip(piece, encoder.encode([text_of(product) for product in piece]), strict=True):
                record = CatalogueVectors(SCHEMA, b"", 0, encoder.name, "", pack_vector(vector), b"")
                catalogue.put_vectors(product.item_id, record)
            advance(len(piece))
