"""The generated schemas: as committed, true of the contract's examples, and of one mind with the parsers."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from recsys.events import Click, Product
from streams import topics
from streams.dead_letters import dead_letter
from streams.log.base import Record
from streams.settings import Settings
from streams.wire.asyncapi import NOTES, asyncapi
from streams.wire.click import encode_click
from streams.wire.lists import encode_list
from streams.wire.product import encode_product
from streams.wire.schemas import DOCS, FORMS, PUBLISHED, files, json_schema
from tests.services.process import missing
from tests.streams.wire.bad_messages import BAD_CLICKS, BAD_PRODUCTS, CLICK, PRODUCT
from tests.streams.wire.test_click import CLICKS
from tests.streams.wire.test_other_messages import ACTIVITY, CAMPAIGN, ERASURE, LIST, POST
from tests.streams.wire.test_product import PRODUCTS

NODE_PROJECT = Path(__file__).parents[3] / ".services" / "asyncapi"
CHECK = """
const { Parser } = require('@asyncapi/parser');
const text = require('fs').readFileSync(0, 'utf8');
new Parser().parse(text).then(({ document, diagnostics }) => {
  const grave = diagnostics.filter((each) => each.severity <= 1);
  const faults = grave.map((each) => each.path.join('.') + ': ' + each.message);
  console.log(JSON.stringify({ faults, channels: document ? document.channels().all().length : 0 }));
});
"""
SEEN_BY_SCHEMAS = {"missing-field", "wrong-type", "unknown-type", "out-of-range", "invalid-id", "too-long", "too-many"}
BEYOND_SCHEMAS = {
    "empty item of a list",
    "time before 1970",
    "time in year 1",
    "two items of a purchase",
    "long address",
    "integer of 5,000 digits",
}


def check(name: str) -> Callable[[object], None]:
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator: Any = jsonschema.Draft202012Validator(schema)
    return validator.validate  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", files(), ids=str)
def test_the_committed_file_is_what_the_code_makes(path: Path) -> None:
    assert (DOCS / path).read_text() == files()[path], "run `make schemas`"


@pytest.mark.parametrize("name", FORMS)
def test_every_schema_is_a_schema(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("product", PRODUCT),
        ("click", CLICK),
        ("activity", ACTIVITY),
        ("activity", ACTIVITY | {"type": "Create", "object": POST}),
        ("campaign", CAMPAIGN),
        ("erasure", ERASURE),
        ("recommendation-list", json.loads(encode_list(LIST))),
    ],
)
def test_the_examples_of_the_contract_are_valid(name: str, example: object) -> None:
    check(name)(example)


def test_dead_letters_are_valid_with_and_without_their_value() -> None:
    for topic in (topics.PRODUCTS, topics.CLICKS):
        letter = dead_letter(Record(topic, 0, 1, 2, b"k", b"v", ()), "wrong-type", "It is bad.", Settings())
        check("dead-letter")(json.loads(letter.value or b""))


VALID_CLICK, VALID_PRODUCT = check("click"), check("product")


@settings(max_examples=30)
@given(CLICKS)
def test_every_click_we_write_is_valid(click: Click) -> None:
    VALID_CLICK(json.loads(encode_click(click)))


@settings(max_examples=30)
@given(PRODUCTS)
def test_every_product_we_write_is_valid(product: Product) -> None:
    VALID_PRODUCT(json.loads(encode_product(product)))


@pytest.mark.parametrize(
    ("valid", "value"),
    [
        pytest.param(valid, value, id=f"{kind}: {name}")
        for kind, valid, rows in (("click", VALID_CLICK, BAD_CLICKS), ("product", VALID_PRODUCT, BAD_PRODUCTS))
        for name, value, reason in rows
        if reason in SEEN_BY_SCHEMAS and name not in BEYOND_SCHEMAS
    ],
)
def test_what_the_parsers_refuse_for_its_form_is_invalid(valid: Callable[[object], None], value: bytes) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid(json.loads(value))


def test_every_topic_is_described_and_every_description_has_its_topic() -> None:
    assert set(NOTES) == {spec.name for spec in topics.all_topics(Settings())}
    assert set(asyncapi()["channels"]) == set(NOTES)


def test_the_events_page_names_every_topic_and_every_reason() -> None:
    page = (DOCS / "events.md").read_text()

    missing_topics = [topic for topic in NOTES if f"`{topic}`" not in page]
    missing_reasons = {reason for *_, reason in (*BAD_CLICKS, *BAD_PRODUCTS) if f"`{reason}`" not in page}
    assert not missing_topics
    assert not missing_reasons


def test_published_schemas_have_a_form() -> None:
    assert set(PUBLISHED) <= set(FORMS)


@pytest.mark.slow
def test_the_asyncapi_parser_finds_no_fault() -> None:
    node = shutil.which("node")
    if node is None or not (NODE_PROJECT / "node_modules" / "@asyncapi" / "parser").is_dir():
        missing("npm's @asyncapi/parser: run `make services`")
    text = (DOCS / "asyncapi.yaml").read_text()
    assert yaml.safe_load(text) == asyncapi()

    result = subprocess.run(
        [node or "node", "-e", CHECK],
        cwd=NODE_PROJECT,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert json.loads(result.stdout) == {"faults": [], "channels": len(NOTES)}
