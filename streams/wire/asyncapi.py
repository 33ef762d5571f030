"""The AsyncAPI 3.0 description: each topic with its key, settings and message, from `streams.topics` and the forms."""

from dataclasses import dataclass
from typing import Any

import yaml

from streams import topics
from streams.log.base import TopicSpec
from streams.settings import Settings
from streams.wire.schemas import components

KAFKA_BINDING = "0.5.0"


@dataclass(frozen=True)
class TopicNote:
    """What a topic's settings do not say: its key, its message (a name of `schemas.FORMS`, or none), its direction.

    `direction` is `receive` for what Freshet reads, `send` for what it writes for others, `inside` for its own.
    """

    key: str
    direction: str
    about: str
    message: str | None = None
    has_tombstones: bool = False


NOTES: dict[str, TopicNote] = {
    topics.PRODUCTS: TopicNote("item_id", "receive", "The shop's products.", "product", True),
    topics.CLICKS: TopicNote("user_id", "receive", "What users do with products.", "click"),
    topics.ACTIVITIES: TopicNote(
        "the actor's id", "receive", "What happens in the social app; nothing reads it yet.", "activity"
    ),
    topics.CAMPAIGNS: TopicNote(
        "campaign_id", "receive", "Sponsored placements; nothing reads them yet.", "campaign", True
    ),
    topics.ERASURES: TopicNote("user_id", "receive", "Users to forget everywhere; nothing reads them yet.", "erasure"),
    topics.RECOMMENDATIONS: TopicNote("user_id", "send", "Each user's newest list.", "recommendation-list", True),
    topics.FEED: TopicNote(
        "user_id", "send", "Recommendations as activities for the social app; not written yet.", "offer"
    ),
    topics.DEAD_LETTERS: TopicNote("as the source", "send", "Refused messages, for operators.", "dead-letter"),
    topics.SERVED: TopicNote(
        "user_id", "inside", "Lists of users who take part in an experiment, for joining clicks to them."
    ),
    topics.LINKS: TopicNote(
        "the actor's id", "inside", "Which user an account of the social app is; not read yet.", "link", True
    ),
    topics.CATALOG: TopicNote("f:ITEM or v:ITEM", "inside", "Fields and vectors of each product."),
    topics.ITEM_FACTORS: TopicNote("a chunk of a model", "inside", "What ALS has learnt of the items."),
    topics.MODELS: TopicNote("a kind of model", "inside", "Which model is complete and in use."),
    topics.TRENDS: TopicNote("item_id, or empty", "inside", "Popularity and co-occurrence, summed by readers."),
    topics.USER_STATE: TopicNote("user_id", "inside", "The recommend agent's changelog."),
    topics.LAYOUT: TopicNote("the topic's name", "inside", "How many partitions a topic had when its state was begun."),
    topics.TRAINER: TopicNote("none", "inside", "No records: its owner is the active trainer."),
}


def asyncapi() -> dict[str, Any]:
    """The whole description; topics have their default partitions and retention, and no prefix."""
    specs = topics.all_topics(Settings.model_construct())
    outer, inner = components("#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Freshet",
            "version": "1.0.0",
            "description": "Shop events in, fresh recommendations out. Keys are UTF-8; a record's key equals the id in "
            "its value. FRESHET_TOPIC_PREFIX is put before each address. Headers of CloudEvents 1.0 (binary mode) are "
            "understood.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "FRESHET_BROKER"}},
        "channels": {spec.name: _channel(spec, NOTES[spec.name]) for spec in specs},
        "operations": {
            f"{_action(NOTES[spec.name])}-{spec.name}": {
                "action": _action(NOTES[spec.name]),
                "channel": {"$ref": f"#/channels/{spec.name}"},
                "summary": NOTES[spec.name].about,
            }
            for spec in specs
            if NOTES[spec.name].direction != "inside"
        },
        "components": {"schemas": outer | inner},
    }


def asyncapi_yaml() -> str:
    """The file `docs/asyncapi.yaml`."""
    text: str = yaml.dump(
        asyncapi(), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False
    )
    return "# Made from the code by `make schemas`; do not edit.\n" + text


class _PlainDumper(yaml.SafeDumper):
    """Writes what appears twice twice: not all readers of AsyncAPI files know YAML's anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _action(note: TopicNote) -> str:
    return "receive" if note.direction == "receive" else "send"


def _channel(spec: TopicSpec, note: TopicNote) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": spec.cleanup.split(",")}
    if "delete" in spec.cleanup:
        configuration["retention.ms"] = spec.retention_ms
    configuration |= spec.config
    return {
        "address": spec.name,
        "description": note.about + (" Inside Freshet; free to change." if note.direction == "inside" else ""),
        "messages": {note.message or spec.name: _message(note)},
        "bindings": {
            "kafka": {
                "partitions": spec.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _message(note: TopicNote) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": note.message or "record",
        "bindings": {
            "kafka": {"key": {"type": "string", "description": note.key}, "bindingVersion": KAFKA_BINDING},
        },
    }
    if note.message is None:
        return message | {"contentType": "application/octet-stream", "payload": {"description": "Ours alone."}}
    reference = {"$ref": f"#/components/schemas/{note.message}"}
    return message | {
        "contentType": "application/json",
        "payload": {"oneOf": [reference, {"type": "null", "description": "Delete."}]}
        if note.has_tombstones
        else reference,
    }
