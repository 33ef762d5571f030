"""The sample shop of `freshet demo`: hundreds of products that look like a shop's, the same for the same seed."""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.demo.colours import COLOURS
from gateway.demo.departments import DEPARTMENTS, MODEL_NAMES, Department
from gateway.demo.drawings import SHELVES, Kind, Shelf, Size
from gateway.demo.studio import PATTERNS, Look, picture

OPENED_MS = 1_795_000_000_000
"""The newest product's date where the caller names none: November 2026."""
_ASSORTMENT_DAYS = 180
_DAY_MS = 86_400_000
_UNAVAILABLE_SHARE = 0.03
_COLOURS_PER_MODEL = 4  # variants of one model at most; lists show one of a group


@dataclass(frozen=True, slots=True)
class SampleProduct:
    """One product: its message as the contract has it, and what its picture shows."""

    message: dict[str, Any]
    look: Look

    @property
    def item_id(self) -> str:
        """The product's id, `sku-0001` onwards in the order of the shop."""
        return str(self.message["item_id"])

    def picture(self) -> bytes:
        """The picture's bytes (JPEG), drawn now."""
        return picture(self.look)


@dataclass(frozen=True, slots=True)
class _Model:
    """What the colour variants of one product have in common."""

    shelf: Shelf
    kind: Kind
    brand: str
    price: float
    name: str
    material: tuple[str, str]
    pattern: tuple[str, str]
    size: Size
    colours: tuple[str, ...]
    group_id: str
    created_ms: int


def sample_shop(seed: int = 0, size: int = 600, *, opened_ms: int = OPENED_MS) -> Iterator[SampleProduct]:
    """The shop's products in the order of its shelves' first page; texts only, pictures when asked for.

    Parameters
    ----------
    seed : int
        The same seed gives the same products, texts and pictures.
    size : int
        How many products; from about 450 on every kind is there.
    opened_ms : int
        Epoch milliseconds; products were created in the 180 days before it.
    """
    rng = random.Random(seed)
    variants: list[tuple[_Model, str]] = []
    for model in _models(rng, opened_ms):
        variants += [(model, colour) for colour in model.colours]
        if len(variants) >= size:
            break
    del variants[size:]
    rng.shuffle(variants)
    for number, (model, colour) in enumerate(variants, start=1):
        yield _product(f"sku-{number:04d}", model, colour, rng)


def write_pictures(products: Iterable[SampleProduct], media_dir: Path) -> Iterator[SampleProduct]:
    """Draw each product's picture below `media_dir`, where it is not there yet, and yield the product after it."""
    for product in products:
        path = media_dir / product.message["image"]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(product.picture())
            unfinished.replace(path)
        yield product


def _models(rng: random.Random, opened_ms: int) -> Iterator[_Model]:
    """Round after round one model of every kind, each round by the next brand; without end."""
    kinds = [(shelf, kind) for shelf in SHELVES for kind in shelf.kinds]
    brand_turn = {kind.hexcode: rng.randrange(60) for _, kind in kinds}
    number = 0
    while True:
        rng.shuffle(kinds)
        for shelf, kind in kinds:
            number += 1
            brand_turn[kind.hexcode] += 1
            yield _model(rng, shelf, kind, number, brand_turn[kind.hexcode], opened_ms)


def _model(rng: random.Random, shelf: Shelf, kind: Kind, number: int, brand_turn: int, opened_ms: int) -> _Model:
    department = DEPARTMENTS[shelf.department]
    brand, dearness = department.brands[brand_turn % len(department.brands)]
    size = rng.choice(shelf.sizes)
    price = kind.lowest + (kind.highest - kind.lowest) * rng.random() ** 1.6
    choice = (kind.colours or shelf.colours).split()
    n_colours = min(len(choice), rng.randint(1, _COLOURS_PER_MODEL))
    return _Model(
        shelf=shelf,
        kind=kind,
        brand=brand,
        price=_shop_price(price * dearness * size.price_factor),
        name=MODEL_NAMES[number % len(MODEL_NAMES)] if department.has_model_names else "",
        material=rng.choice((shelf.materials if kind.made is None else kind.made) or (("", ""),)),
        pattern=rng.choice(PATTERNS) if shelf.is_patterned and rng.random() < 0.4 else ("", ""),
        size=size,
        colours=tuple(rng.sample(choice, n_colours)),
        group_id=f"model-{number:04d}",
        created_ms=opened_ms - rng.randrange(_ASSORTMENT_DAYS * _DAY_MS),
    )


def _product(item_id: str, model: _Model, colour: str, rng: random.Random) -> SampleProduct:
    kind, shelf = model.kind, model.shelf
    department = DEPARTMENTS[shelf.department]
    look = Look(
        hexcode=kind.hexcode,
        paint=kind.paint,
        colour=colour,
        pattern=model.pattern[0],
        scale=model.size.scale * 0.94,
        tilt_degrees=rng.choice((0, 0, 0, -6, 6)),
        is_mirrored=rng.random() < 0.4 and kind.hexcode not in _LETTERED,
        backdrop=rng.randrange(6),
    )
    title, title_zh = _titles(model, colour)
    message: dict[str, Any] = {
        "item_id": item_id,
        "title": title,
        "description": _description(model, colour, title_zh, department, rng),
        "category": [department.name, shelf.name],
        "brand": model.brand,
        "price": {"amount": model.price, "currency": "EUR"},
        "image": f"demo/{item_id}-{look.fingerprint}.jpg",
        "tags": _tags(model),
        "attributes": _attributes(model, colour, title_zh),
        "available": rng.random() >= _UNAVAILABLE_SHARE,
        "created_at": datetime.fromtimestamp(model.created_ms // 1000, UTC).isoformat().replace("+00:00", "Z"),
    }
    if len(model.colours) > 1:
        message["group_id"] = model.group_id
    return SampleProduct(message, look)


_LETTERED = frozenset({"1F4D8", "1F4D4"})
"""Drawings with words on them, which must not be mirrored."""


def _titles(model: _Model, colour: str) -> tuple[str, str]:
    """The product's name in English and in Chinese."""
    kind = model.kind
    is_only_colour = len(kind.colours.split()) == 1
    words = ["" if is_only_colour else colour, model.pattern[0], model.material[0], kind.name, model.name]
    english = " ".join(_without_repeats(words))
    chinese = ("" if is_only_colour else COLOURS[colour].name_zh) + model.pattern[1] + model.material[1] + kind.name_zh
    if model.name:
        chinese += f" {model.name}"
    elif model.size.name:
        english += f", {model.size.name}"
        chinese += f" {model.size.name_zh}"
    return english[0].upper() + english[1:], chinese


def _without_repeats(words: list[str]) -> Iterator[str]:
    """The words that are there, without a material that the name says itself ("wooden wooden flute")."""
    for place, word in enumerate(words):
        if word and not any(re.search(rf"\b{re.escape(word)}\b", later) for later in words[place + 1 :]):
            yield word


def _description(model: _Model, colour: str, title_zh: str, department: Department, rng: random.Random) -> str:
    phrase, phrase_zh = rng.choice(department.phrases)
    kind, size = model.kind, model.size
    made = f"{kind.name} in {colour} {model.material[0]}".strip()
    english = f"{made[0].upper()}{made[1:]} by {model.brand}. {phrase}"
    chinese = f"{model.brand} {title_zh}，{department.name_zh}·{model.shelf.name_zh}。{phrase_zh}"
    if size.name:
        english += f" Size: {size.name}."
        chinese += f"规格：{size.name_zh}。"
    return f"{english} {chinese}"


def _attributes(model: _Model, colour: str, title_zh: str) -> dict[str, str]:
    attributes = {
        "colour": colour,
        "colour_zh": COLOURS[colour].name_zh,
        "material": model.material[0],
        "pattern": model.pattern[0] or ("plain" if model.shelf.is_patterned else ""),
        "size": model.size.name,
        "title_zh": title_zh,
    }
    return {name: value for name, value in attributes.items() if value}


def _tags(model: _Model) -> list[str]:
    tags = [model.kind.name, model.kind.name_zh, model.shelf.name_zh]
    if model.price < model.kind.lowest * 1.1:
        tags.append("good value")
    return tags


def _shop_price(amount: float) -> float:
    """A price as shops write it: 3.49, 24.95, 189."""
    if amount < 10:
        return max(0.49, round(amount * 2) / 2 - 0.01)
    return round(amount) - 0.05 if amount < 100 else float(round(amount / 10) * 10 - 1)
