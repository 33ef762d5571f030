"""Valid values; a test says only what it is about."""

from itertools import count
from typing import Any

from recsys.events import Action, Click, Product

NOON_MS = 1_700_000_000_000
_numbers = count()


def a_click(user_id: str = "ann", item_id: str = "lamp", **changes: Any) -> Click:
    number = next(_numbers)
    values: dict[str, Any] = {
        "event_id": f"event-{number}",
        "user_id": user_id,
        "item_id": item_id,
        "type": Action.CLICK,
        "ts_ms": NOON_MS + number,
    }
    return Click(**(values | changes))


def a_product(item_id: str = "lamp", **changes: Any) -> Product:
    return Product(**({"item_id": item_id, "title": f"A fine {item_id}"} | changes))
