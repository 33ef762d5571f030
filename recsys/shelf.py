"""The catalogue, as ranking asks of it."""

from recsys.catalogue import Catalogue


class CatalogueShelf:
    """What may be shown, which products are variants of one, what is new."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.is_visible = catalogue.is_visible
        self._newest: tuple[int, list[str]] = (-1, [])

    def group_of(self, item_id: str) -> str:
        product = self.catalogue.get(item_id)
        return product.group_id if product is not None else ""

    def newest(self, limit: int) -> list[str]:
        """Visible items, newest first, by arrival."""
        version, items = self._newest
        if version != self.catalogue.vectors_version:
            items = self.catalogue.visible_items()[::-1]
            self._newest = (self.catalogue.vectors_version, items)
        return items[:limit]
