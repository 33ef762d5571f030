"""What every worker and gateway holds whole: the catalogue, the factors, the trends; followed from their topics."""

import asyncio
import logging
import time
from itertools import islice

import numpy as np

from recsys.als.model import FactorModel
from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.counts import decode_trend
from recsys.events import ModelVersions
from recsys.item_table import ItemTable
from recsys.neighbours import NeighbourCache
from recsys.ranker import VERSION, RankerWeights
from recsys.records import decode_fields, decode_vectors
from recsys.refresh import RecommendPolicy
from recsys.trends import Trends
from recsys.warm_up import warm_up
from streams import failpoints, topics
from streams.agents.partition import COUNTED_TO_KEY
from streams.catalogue_file import CatalogueFile
from streams.clock import wall_clock_ms
from streams.log.base import Log, Record
from streams.retry import until_available
from streams.settings import Settings
from streams.until_stopped import running
from streams.views import Follower
from streams.wire.factors import FactorAssembler
from streams.wire.ranker import IN_USE_KEY, decode_ranker, is_ranker

HOUSEKEEPING_S = 0.5
"""How often popularity is sorted anew and new items get factors: both are promised within a second."""
SNAPSHOT_EVERY_S = 60.0
NEIGHBOURS_AT_ONCE = 4
"""Items whose content neighbours are scanned for in one go: 0.1 s at 20,000 products."""
NEIGHBOURS_SHARE = 0.25
"""Share of the time that may go into such scans; without a bound they took more of a busy worker than its lists."""
RENEWAL_S = 0.025
"""Of each half second in which nothing else is to do: lists of neighbours are worked out again after changes."""
NEW_ITEMS_AT_ONCE = 200
"""Items that get factors without a pause: about 5 ms during which no click is served."""
_NONE = np.empty(0, dtype=np.float32)
logger = logging.getLogger(__name__)


class Positions:
    """Up to where a topic was read: the next offset of each partition."""

    def __init__(self, partitions: int) -> None:
        self.offsets = [0] * partitions

    def put(self, partition: int, offset: int) -> None:
        if partition >= len(self.offsets):
            self.offsets += [0] * (partition + 1 - len(self.offsets))
        self.offsets[partition] = offset

    @property
    def name(self) -> str:
        """As lists hold it."""
        return ".".join(map(str, self.offsets))


class SharedViews:
    """Catalogue, factors and trends, each kept live from its compacted topics."""

    def __init__(self, settings: Settings, log: Log, policy: RecommendPolicy, name: str | None = "views") -> None:
        """`name` tells apart the processes that share a data folder; without one, no snapshot is read or written."""
        prefix = settings.topic_prefix
        self._log = log
        folder = settings.data_dir / "snapshots"
        self._file = CatalogueFile(folder, f"catalogue-{name}", prefix + topics.CATALOG) if name else None
        self.catalogue = Catalogue()
        self.items = ItemTable()
        self.traits = policy.traits(self.items)
        self.trends = Trends(self.items, policy.trends)
        self.factors: FactorModel | None = None
        self.ranker: RankerWeights | None = None
        """What the shop's clicks have taught; None: what every shop starts with."""
        self.neighbours = NeighbourCache(self.catalogue)
        self._assembler = FactorAssembler()
        self._without_factors: set[str] = set()
        """Items with vectors that may lack factors."""
        self._without_similar: dict[str, None] = {}
        self._hidden: set[str] = set()
        self._trends_changed = False
        self._is_warm = asyncio.Event()
        self.catalog = Follower(log, prefix + topics.CATALOG, self._put_product)
        self.followers = (
            self.catalog,
            Follower(log, prefix + topics.TRENDS, self._put_trend),
            Follower(log, prefix + topics.ITEM_FACTORS, self._put_factors),
            Follower(log, prefix + topics.MODELS, self._put_model),
        )
        self._catalog_at, self._trends_at = Positions(settings.partitions), Positions(settings.partitions)
        self._sorted_at = self._trends_at.name
        self._policy = policy
        self._named: ModelVersions | None = None
        self._swap()

    def _swap(self) -> None:
        """Put the parts as they are now in use together."""
        self._views = Views(
            self.items, self.trends, self.factors, self.neighbours, self._names, self.ranker, self.traits
        )
        self._named = None

    def _names(self) -> ModelVersions:
        """Names what lists are made from at this moment; worked out again once something has changed."""
        if self._named is None:
            model, trends, catalog = self.factors, self._trends_at.name, self._catalog_at.name
            if model is not None and self._without_factors:
                catalog += f"+{len(self._without_factors)}"
            self._named = ModelVersions(
                als=model.version if model else None,
                ranker=self._policy.ranker_name(self._views),
                trends=trends if trends == self._sorted_at else f"{trends}/{self._sorted_at}",
                catalog=catalog,
                retrieval=model.retrieval if model else None,
                policy=self._policy.name,
            )
        return self._named

    @property
    def is_caught_up(self) -> bool:
        """Whether `wait_caught_up` would return at once."""
        return self._is_warm.is_set() and all(follower.is_caught_up for follower in self.followers)

    @property
    def n_with_vectors(self) -> int:
        """Products whose vectors are in the index."""
        return self.catalogue.n_with_vectors

    def now(self) -> Views:
        """The views as they stand; a new model is swapped in whole."""
        return self._views

    async def run(self) -> None:
        """Follow all topics until cancelled; the catalogue goes on from its snapshot."""
        await self._restore()
        following = [follower.run() for follower in self.followers]
        async with running(*following, self._keep_house(), self._keep_snapshots()):
            await asyncio.to_thread(warm_up, self._policy.all_rules)
            self._is_warm.set()
            await asyncio.Event().wait()

    async def _restore(self) -> None:
        if self._file is None:
            return
        ends = await until_available(lambda: self._log.end_offsets(self.catalog.topic))
        found = await self._file.load(ends, wall_clock_ms())
        if found is None:
            return
        self.catalogue, self.catalog.offsets = found
        self.neighbours = NeighbourCache(self.catalogue)
        for partition, offset in self.catalog.offsets.items():
            self._catalog_at.put(partition, offset)
        for item_id in self.catalogue:
            self._show(item_id)
            self._resemble(item_id)
        self._without_factors = set(self.catalogue)
        self._swap()

    async def _keep_snapshots(self) -> None:
        await self.catalog.wait_caught_up()
        while True:
            await self.save()
            await asyncio.sleep(SNAPSHOT_EVERY_S)

    async def save(self) -> None:
        """Write the catalogue's snapshot if anything came since the last."""
        if self._file is not None:
            await self._file.save(self.catalogue, dict(self.catalog.offsets), wall_clock_ms())

    async def wait_caught_up(self) -> None:
        """Wait until everything is read and ranking is compiled."""
        for follower in self.followers:
            await follower.wait_caught_up()
        await self._is_warm.wait()

    async def wait_factors(self) -> None:
        """Wait until every product has its factors that can have any."""
        while self.factors is not None and self._without_factors:
            self._give_factors_to_new_items()
            await asyncio.sleep(0)

    def _put_product(self, record: Record) -> None:
        self._catalog_at.put(record.partition, record.offset + 1)
        self._named = None
        part, _, item_id = (record.key or b"").decode().partition(":")
        if part == "f":
            if record.value is None:
                self.catalogue.remove(item_id)
            else:
                self.catalogue.put_fields(decode_fields(record.value))
                failpoints.reached(failpoints.INDEX_ADD)
            self._show(item_id)
        elif record.value is None:
            self.catalogue.remove_vectors(item_id)
        else:
            self.catalogue.put_vectors(item_id, decode_vectors(record.value))
            self._without_factors.add(item_id)
            self._without_similar[item_id] = None
        if part != "f":
            self._resemble(item_id)

    def _show(self, item_id: str) -> None:
        fields = self.catalogue.fields(item_id)
        product = None if fields is None else fields.product
        visible = product is not None and product.available
        if product is not None and self.traits is not None:
            visible &= self.traits.describe(product)
        row = self.items.row(item_id)
        if self.items.visible[row] and not visible:
            self._hidden.add(item_id)
        if fields is None or product is None:
            self.items.show(item_id, visible=False)
        else:
            created_ms, offset = product.created_at_ms or 0, fields.source_offset
            self.items.show(item_id, visible=visible, group_id=product.group_id, created_ms=created_ms, offset=offset)

    def _resemble(self, item_id: str) -> None:
        if self.traits is not None and self.traits.signatures is not None:
            catalogue = self.catalogue
            self.traits.resemble(item_id, catalogue.text_vector(item_id), catalogue.image_vector(item_id))

    def take_hidden(self) -> set[str]:
        """Items that have become invisible since the last call."""
        hidden, self._hidden = self._hidden, set()
        return hidden

    def take_without_similar(self, limit: int) -> list[str]:
        """Some items with new vectors, each once."""
        taken = list(islice(self._without_similar, limit))
        for item_id in taken:
            del self._without_similar[item_id]
        return taken

    def want_similar(self) -> None:
        """Have `take_without_similar` give every item with vectors once more."""
        self._without_similar = {item_id: None for item_id in self.catalogue if self.catalogue.vectors_origin(item_id)}

    def _put_trend(self, record: Record) -> None:
        self._trends_at.put(record.partition, record.offset + 1)
        self._named = None
        if record.value is not None and record.key != COUNTED_TO_KEY:
            self.trends.put(record.partition, (record.key or b"").decode(), decode_trend(record.value))
            self._trends_changed = True

    def _put_model(self, record: Record) -> None:
        if record.key == IN_USE_KEY:
            self.ranker = None if record.value is None else decode_ranker(record.value).weights()
            self._swap()
            logger.info("The ranker %s is in use.", self.ranker.version if self.ranker else VERSION)
        elif not is_ranker(record.key):
            self._put_factors(record)

    def _put_factors(self, record: Record) -> None:
        model = self._assembler.feed(record)
        if model is not None:
            self.factors = model
            self._without_factors = set(self.catalogue)
            self._swap()
            logger.info("Factors %s are in use: %d items.", model.version, len(model))

    async def _keep_house(self) -> None:
        while True:
            if self._trends_changed:
                self._trends_changed = False
                self.trends.refresh()
            self._sorted_at, self._named = self._trends_at.name, None
            self._give_factors_to_new_items()
            if self.factors is not None and self.factors.wants_sealing:
                await asyncio.to_thread(self.factors.seal)
                self._named = None
            started = time.monotonic()
            await asyncio.to_thread(self._find_neighbours)
            # Each item clicked for the first time asks for a scan of the catalogue: clicks must not wait for them all.
            pause_s = (time.monotonic() - started) * (1 - NEIGHBOURS_SHARE) / NEIGHBOURS_SHARE
            await asyncio.sleep(max(pause_s, 0.02) if self.neighbours.pending else HOUSEKEEPING_S)

    def _find_neighbours(self) -> None:
        """Scan for what was asked for; where that is nothing, for what has changed since it was scanned for."""
        until = time.monotonic() + RENEWAL_S
        if not self.neighbours.refresh(NEIGHBOURS_AT_ONCE):
            while self.neighbours.renew() and time.monotonic() < until:
                pass

    def _give_factors_to_new_items(self) -> None:
        """What was never trained gets factors from its content, so that it can be recommended at once."""
        model = self.factors
        if model is None or not self._without_factors:
            return
        self._named = None
        waiting = [self._without_factors.pop() for _ in range(min(len(self._without_factors), NEW_ITEMS_AT_ONCE))]
        for item_id in waiting:
            if model.origin(item_id) == "trained":
                continue
            text, image = self.catalogue.text_vector(item_id), self.catalogue.image_vector(item_id)
            factors = model.predict(_NONE if text is None else text, _NONE if image is None else image)
            if factors is not None:
                model.add_content_item(item_id, factors)
