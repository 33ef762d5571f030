"""JSON Schemas of all messages, made from the code; `python -m streams.wire.schemas` writes these and AsyncAPI's."""

import json
from pathlib import Path
from typing import Any

import msgspec

from recsys.events import RecommendationList
from streams.dead_letters import DeadLetter
from streams.wire.forms import ActivityForm, CampaignForm, ClickForm, ErasureForm, LinkForm, OfferForm, ProductForm

DOCS = Path(__file__).parents[2] / "docs"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

FORMS: dict[str, type[msgspec.Struct]] = {
    "product": ProductForm,
    "click": ClickForm,
    "recommendation-list": RecommendationList,
    "dead-letter": DeadLetter,
    "activity": ActivityForm,
    "campaign": CampaignForm,
    "erasure": ErasureForm,
    "offer": OfferForm,
    "link": LinkForm,
}
PUBLISHED = ("product", "click", "recommendation-list", "dead-letter", "activity", "campaign", "erasure")


def _filled(*names: str) -> dict[str, Any]:
    """A schema of objects in which one of these fields is there and not empty."""
    return {
        "anyOf": [
            {
                "required": [name],
                "properties": {name: {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}]}},
            }
            for name in names
        ]
    }


def _of_type(action: str) -> dict[str, Any]:
    return {"properties": {"type": {"const": action}}}


_SEARCH: dict[str, Any] = {"properties": {"context": _filled("query")}, "required": ["context"]}
RULES: dict[str, dict[str, Any]] = {
    "product": _filled("title", "description", "image"),
    "click": {
        "if": _of_type("search"),
        "then": _SEARCH,
        "else": {"if": _of_type("impression"), "then": _filled("item_id", "items"), "else": _filled("item_id")},
    },
}
"""What types cannot say: which fields need each other."""


def components(ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema for each name of `FORMS`, and the inner ones by their own names."""
    names = {form.__name__: name for name, form in FORMS.items()}
    _, found = msgspec.json.schema_components(FORMS.values(), ref_template=ref_template)
    inner = {name: schema for name, schema in found.items() if name not in names}
    found = {name: _without_nulls(schema) for name, schema in found.items()}
    outer = {names[name]: schema | RULES.get(names[name], {}) for name, schema in found.items() if name in names}
    return {name: outer[name] for name in FORMS}, inner


def _without_nulls(schema: Any) -> Any:
    """The schema without `default: null`, which says no more than that null is allowed."""
    if isinstance(schema, dict):
        return {key: _without_nulls(part) for key, part in schema.items() if not (key == "default" and part is None)}
    return [_without_nulls(part) for part in schema] if isinstance(schema, list) else schema


def json_schema(name: str) -> dict[str, Any]:
    """The schema of one message, complete in itself."""
    outer, inner = components("#/$defs/{name}")
    schema = outer[name]
    schema["title"] = name.replace("-", " ").capitalize()
    used = _used(schema, inner)
    definitions = {"$defs": {key: inner[key] for key in sorted(used)}} if used else {}
    return {"$schema": DIALECT, **schema, **definitions}


def _used(schema: dict[str, Any], inner: dict[str, Any]) -> set[str]:
    """The names of all inner schemas that a schema needs, those of inner ones included."""
    used: set[str] = set()
    waiting = [schema]
    while waiting:
        text = json.dumps(waiting.pop())
        new = {name for name in inner if f'"#/$defs/{name}"' in text} - used
        used |= new
        waiting += [inner[name] for name in new]
    return used


def files() -> dict[Path, str]:
    """Every generated file below `docs/`, and what it should hold."""
    from streams.wire.asyncapi import asyncapi_yaml

    schemas = {
        Path("schemas") / f"{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in PUBLISHED
    }
    return {**schemas, Path("asyncapi.yaml"): asyncapi_yaml()}


def main() -> None:
    """Write them all."""
    for path, text in files().items():
        target = DOCS / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
