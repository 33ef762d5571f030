"""What a gateway holds, and the lists that it answers with: Redis first, its own views where Redis has no answer."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from cachetools import TTLCache
from fastapi import Response
from PIL.Image import Image
from PIL.Image import new as new_image

from encoders.base import Encoder
from encoders.choose import encode_queries, image_encoder, text_encoder
from encoders.pictures import decode_picture
from encoders.product_pictures import is_on_plain_ground, refuse_empty
from gateway.access import Keys
from gateway.changes import ListChanges
from gateway.metrics import Metrics
from gateway.problems import ProblemError
from recsys.errors import EncodingError, UnavailableError
from recsys.events import RecommendationList
from recsys.filters import Filter
from recsys.history import UserState, decode_state
from recsys.rank import Filter as Allow
from recsys.refresh import RecommendPolicy, make_list, rank_for
from recsys.running_mean import RunningMean
from recsys.search import SearchHit, SearchQuery, search, similar
from recsys.search_ranking import CONSIDERED, CONSIDERED_BY_PICTURE, Evidence, ranked
from recsys.suggest import PopularQueries
from recsys.together import alike
from recsys.types import Vector
from streams.clock import wall_clock_ms
from streams.log.base import Log
from streams.policy import recommend_policy
from streams.reach import Reach
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import RedisStore
from streams.wholeness import Wholeness
from streams.wire.lists import decode_list
from streams.wire.times import rfc3339

logger = logging.getLogger(__name__)
T = TypeVar("T")
DAY_S = 86_400
INDEX_EVERY_S = 0.5
"""How often it is seen whether so much has changed that something is to be learned or sealed again."""
REMEMBERED_ANSWERS = 100_000
"""Answers kept for repeated Idempotency-Keys; another gateway still counts a repeated event once, by its id."""
QUERY_SIDE = 256
"""Pixels of the shorter side that a query's picture is decoded to: what the bundled network resizes from."""


@dataclass
class QueryEncoders:
    """The networks that turn a query into vectors; None while they load, or where the settings turn them off."""

    text: Encoder[str] | None = None
    image: Encoder[Image] | None = None


class Gateway:
    """Settings, log, Redis and views of one gateway."""

    def __init__(self, settings: Settings, log: Log, store: RedisStore, views: SharedViews) -> None:
        self.settings = settings
        self.log = log
        self.store = store
        self.views = views
        self.keys = Keys(settings)
        self.metrics = Metrics()
        self.policy: RecommendPolicy = recommend_policy(settings)
        self.encoders = QueryEncoders()
        self._photos = RunningMean()
        self.popular_queries = PopularQueries()
        self.changes = ListChanges(store)
        self.reach = Reach(settings, log, store.ping)
        self.wholeness = Wholeness(settings, log, store)
        self._answers: TTLCache[tuple[str, str], tuple[bytes, Response]] = TTLCache(REMEMBERED_ANSWERS, DAY_S)

    @property
    def is_ready(self) -> bool:
        """Whether to send requests here.

        A Redis of the shop's own that lacks lists keeps no gateway out of use, for each answers such a user with what
        is popular. An embedded one lives with the processes that fill it, and they are still starting.
        """
        is_filled = self.wholeness.is_whole or not self.settings.redis.startswith("embedded:")
        return self.views.is_caught_up and self.reach.is_there and is_filled

    def topic(self, name: str) -> str:
        return self.settings.topic_prefix + name

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what takes milliseconds of computing off the loop."""
        return await asyncio.to_thread(work, *arguments)

    # --- repeated writes ---

    def answered(self, topic: str, idempotency_key: str | None, body: bytes) -> Response | None:
        """What this gateway answered to the same write before; a 422 problem if the key came with another body."""
        if not idempotency_key:
            return None
        known = self._answers.get((topic, idempotency_key))
        if known is None:
            return None
        digest, answer = known
        if digest != _digest(body):
            raise ProblemError(422, "idempotency-key-reused", "This Idempotency-Key came with another body before.")
        return answer

    def remember(self, topic: str, idempotency_key: str | None, body: bytes, answer: Response) -> None:
        """Keep an answer for a day, in case the same write comes again."""
        if idempotency_key:
            self._answers[topic, idempotency_key] = (_digest(body), answer)

    # --- lists ---

    async def recommend(
        self, user_id: str, n: int, allow: Filter | None, exclude: Collection[str], context_item: str
    ) -> RecommendationList:
        """A user's list: the one in Redis where it answers the question, else made here by the same core code."""
        plain = allow is None and not exclude and not context_item and n <= self.policy.top_k
        try:
            if plain:
                ready = await self._ready_list(user_id, n)
                if ready is not None:
                    return ready
        except UnavailableError as error:
            logger.warning("%s Answering with what is popular.", error)
            return self.make(user_id, UserState(), n, allow, exclude, context_item)
        return self.make(user_id, await self.user_state(user_id), n, allow, exclude, context_item)

    async def user_state(self, user_id: str) -> UserState:
        """What the user did; an empty state for a user never seen, and for everybody while Redis is away."""
        try:
            stored = await self.store.get_user(user_id)
        except UnavailableError as error:
            logger.warning("%s Answering as if nothing were known of the user.", error)
            return UserState()
        return UserState() if stored is None else decode_state(stored[1])

    async def _ready_list(self, user_id: str, n: int) -> RecommendationList | None:
        """The list in Redis cut to n, without what was hidden since it was made; None if too little is left."""
        found = await self.store.get_list(user_id)
        if found is None:
            return None
        ready = decode_list(found)
        is_visible = self.views.catalogue.is_visible
        shown = tuple(item for item in ready.items if is_visible(item.item_id))[:n]
        if len(shown) < min(n, len(ready.items)):
            return None
        return msgspec.structs.replace(ready, items=shown)

    def make(
        self,
        user_id: str,
        state: UserState,
        n: int,
        allow: Filter | None = None,
        exclude: Collection[str] = (),
        context_item: str = "",
    ) -> RecommendationList:
        """A list from a state and the views as they stand."""
        views = self.views.now()
        policy = self.policy.for_user(user_id)
        ranked = rank_for(
            state, views, policy, n=n, allow=self._allows(allow), exclude=exclude, context_item=context_item
        )
        return make_list(user_id, state, ranked, views, partition=None, generated_at=rfc3339(wall_clock_ms()))

    def _allows(self, wanted: Filter | None) -> Allow | None:
        if wanted is None:
            return None
        get = self.views.catalogue.get

        def allows(item_id: str) -> bool:
            product = get(item_id)
            return product is not None and wanted.matches(product)

        return allows

    # --- queries ---

    async def search(self, query: SearchQuery, user_id: str = "") -> list[SearchHit]:
        """What answers a query, in the order that suits the user, or shoppers in general."""
        considered = CONSIDERED if query.image_vector is None else CONSIDERED_BY_PICTURE
        found = replace(query, n=max(query.n, considered))
        hits = await self.in_thread(search, self.views.catalogue, found)
        state = await self.user_state(user_id) if user_id else UserState()
        evidence = Evidence(self.views.now(), self.views.catalogue, self.policy, wall_clock_ms())
        return ranked(hits, query, state, evidence)

    async def like(self, item_id: str, n: int) -> list[SearchHit]:
        """Products like one, by content and by what goes together with it."""
        hits = await self.in_thread(similar, self.views.catalogue, item_id, max(n, CONSIDERED))
        return alike(hits, n, item_id, self.views.now())

    async def load_encoders(self) -> None:
        """Load the networks off the loop; until then a search goes by words alone."""
        settings = self.settings
        text = text_encoder(settings.text_encoder, settings.device, folder=settings.networks_dir)
        if text is not None:
            await asyncio.to_thread(text.encode, ["warm up"])
            self.encoders.text = text
        image = image_encoder(settings.image_encoder, settings.device, folder=settings.networks_dir)
        if image is not None:
            await asyncio.to_thread(image.encode, [new_image("RGB", (QUERY_SIDE, QUERY_SIDE))])
            self.encoders.image = image

    async def encode_text(self, text: str) -> Vector | None:
        encoder = self.encoders.text
        if encoder is None or not text.strip():
            return None
        vectors = await asyncio.to_thread(encode_queries, encoder, [text])
        return vectors[0] if vectors[0].any() else None

    async def encode_picture(self, picture: bytes) -> tuple[Vector, Vector | None]:
        """The vector of a picture's bytes, and the mean of such pictures where it is known.

        Raises EncodingError for what is no picture, UnavailableError while the network loads.
        """
        encoder = self.encoders.image
        if encoder is None:
            if self.settings.image_encoder == "none":
                raise EncodingError("no-image-encoder", "This shop has no image encoder (FRESHET_IMAGE_ENCODER).")
            raise UnavailableError("The image encoder is still loading; search by text, or try again in a moment.")
        vector, is_photo = await asyncio.to_thread(_encode_picture, encoder, picture)
        sight = self.views.catalogue.sight
        if sight is None or not is_photo or sight.lens.mean.shape != vector.shape:
            return vector, None
        self._photos.add(vector)
        return vector, self._photos.value(sight.lens.mean)

    async def keep_index(self) -> None:
        """Learn, while pictures change, how the shop's pictures compare; seal what would make searches slow.

        Until the first time pictures compare plainly, and every vector is scanned.
        """
        while True:
            catalogue = self.views.catalogue
            if catalogue.sight_is_due:
                sighting = catalogue.begin_sight()
                await asyncio.to_thread(sighting.fit)
                catalogue.put_sight(sighting)
            for sealing in catalogue.begin_sealing():
                await asyncio.to_thread(sealing.build)
                catalogue.put_sealed(sealing)
            await asyncio.sleep(INDEX_EVERY_S)


def _encode_picture(encoder: Encoder[Image], picture: bytes) -> tuple[Vector, bool]:
    """A picture's vector, and whether it is a photo: a product alone on plain ground is of the catalogue's kind."""
    decoded = decode_picture(picture, QUERY_SIDE)
    refuse_empty(decoded)
    return encoder.encode([decoded])[0], not is_on_plain_ground(decoded)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
