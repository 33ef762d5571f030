"""What every worker and gateway holds whole: the catalogue, the factors, the trends; followed from their topics."""

import asyncio
import logging

from recsys.als.model import FactorModel
from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.neighbours import NeighbourCache
from recsys.records import decode_fields, decode_vectors
from recsys.refresh import RecommendPolicy
from recsys.shelf import CatalogueShelf
from recsys.trends import Trends, decode_trend
from streams import topics
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Log, Record
from streams.settings import Settings
from streams.views import Follower
from streams.wire.factors import FactorAssembler

TRENDS_REFRESH_S = 1.0
"""How often popularity is sorted anew: what is published at most once a second changes no faster."""
logger = logging.getLogger(__name__)


class SharedViews:
    """Catalogue, factors and trends, each kept live from its compacted topics."""

    def __init__(self, settings: Settings, log: Log, policy: RecommendPolicy) -> None:
        prefix = settings.topic_prefix
        self.catalogue = Catalogue()
        self.trends = Trends(policy.trends)
        self.factors: FactorModel | None = None
        self.neighbours = NeighbourCache(self.catalogue)
        self._shelf = CatalogueShelf(self.catalogue)
        self._assembler = FactorAssembler()
        self._without_factors: set[str] = set()
        self._trends_changed = False
        self.catalog = Follower(log, prefix + topics.CATALOG, self._put_product)
        self.followers = (
            self.catalog,
            Follower(log, prefix + topics.TRENDS, self._put_trend),
            Follower(log, prefix + topics.ITEM_FACTORS, self._put_factors),
            Follower(log, prefix + topics.MODELS, self._put_factors),
        )
        self._views = Views(self._shelf, self.trends, None, self.neighbours)

    @property
    def is_caught_up(self) -> bool:
        return all(follower.is_caught_up for follower in self.followers)

    def now(self) -> Views:
        """The views as they stand; a new model is swapped in whole."""
        return self._views

    async def run(self) -> None:
        """Follow all topics until cancelled."""
        async with asyncio.TaskGroup() as group:
            for follower in self.followers:
                group.create_task(follower.run())
            group.create_task(self._keep_house())

    async def wait_caught_up(self) -> None:
        for follower in self.followers:
            await follower.wait_caught_up()

    def _put_product(self, record: Record) -> None:
        part, _, item_id = (record.key or b"").decode().partition(":")
        if part == "f":
            if record.value is None:
                self.catalogue.remove(item_id)
            else:
                self.catalogue.put_fields(decode_fields(record.value))
        elif record.value is None:
            self.catalogue.remove_vectors(item_id)
        else:
            self.catalogue.put_vectors(item_id, decode_vectors(record.value))
            self._without_factors.add(item_id)

    def _put_trend(self, record: Record) -> None:
        if record.value is not None and record.key != COUNTED_TO_KEY:
            self.trends.put(record.partition, (record.key or b"").decode(), decode_trend(record.value))
            self._trends_changed = True

    def _put_factors(self, record: Record) -> None:
        model = self._assembler.feed(record)
        if model is not None:
            self.factors = model
            self._views = Views(self._shelf, self.trends, model, self.neighbours)
            self._without_factors = set(self.catalogue)
            logger.info("Factors %s are in use: %d items.", model.version, len(model))

    async def _keep_house(self) -> None:
        while True:
            if self._trends_changed:
                self._trends_changed = False
                self.trends.refresh()
            self._give_factors_to_new_items()
            await asyncio.to_thread(self.neighbours.refresh)
            await asyncio.sleep(TRENDS_REFRESH_S)

    def _give_factors_to_new_items(self) -> None:
        """What was never trained gets factors from its content, so that it can be recommended at once."""
        model = self.factors
        if model is None or model.content_map is None:
            return
        waiting, self._without_factors = self._without_factors, set()
        for item_id in waiting:
            if item_id not in model:
                parts = self.catalogue.parts(item_id)
                if parts:
                    model.add_content_item(item_id, model.content_map.predict(parts.get("text"), parts.get("image")))
