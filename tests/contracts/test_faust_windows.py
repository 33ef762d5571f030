"""The windows in which stock Faust loses an event or stands still, and that our applications leave none of them open.

`docs/reliability.md` has the table of all; here are those that no other module of the contracts shows.
"""

import ast
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.supervisors import CrashingSupervisor

import streams
from streams.agents.embed_app import embed_app
from streams.agents.recommend_app import recommend_app
from streams.log.faust_kafka import Transport
from streams.settings import Settings
from tests.contracts.test_faust_kafka import an_app

AT = TP("t", 0)
RAW = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}
FORGIVING = {"take", "take_events", "noack_take"}


@pytest.fixture(params=["recommend", "embed"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> faust.App:
    make = {"recommend": recommend_app, "embed": embed_app}[request.param]
    return make(Settings(broker="kafka://127.0.0.1:9", data_dir=tmp_path), cast(Any, None))


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(
            {"value_type": dict, "value_serializer": "json"},
            marks=pytest.mark.xfail(raises=AssertionError, strict=True),
        ),
        RAW,
    ],
    ids=["by its manual", "ours"],
)
async def test_a_record_that_cannot_be_read_is_not_acked_before_the_agent_hears_of_it(how: dict[str, Any]) -> None:
    """L7, V1, V2."""
    with an_app() as app:
        topic = app.topic("t", **how)
        heard = topic.clone_using_queue(app.FlowControlQueue(maxsize=1))
        app.flow_control.resume()
        deliver = app.topics._build_handler(AT, {heard})
        message = ConsumerMessage("t", 0, 4, 0.0, 0, (), b"k", b"\xff{", None, 1, 2, AT, generation_id=0)
        await deliver(message)
        assert not message.acked
        assert heard.queue.qsize() == 1


def test_agents_end_the_process_instead_of_going_on_behind_an_error(app: faust.App) -> None:
    """L1, L2, V3; one at a time (L4), on raw bytes (L7, V1, V2)."""
    (agent,) = app.agents.values()
    assert agent.supervisor_strategy is CrashingSupervisor
    assert agent.concurrency == 1
    assert (agent.channel.key_type, agent.channel.value_type) == (bytes, bytes)


def test_applications_have_no_tables_of_fausts(app: faust.App) -> None:
    """V4: a value over the limit would end the worker again at each start."""
    assert not app.tables


def test_applications_write_and_commit_by_our_transport(app: faust.App) -> None:
    """L4, L5, L6, and a producer that a commit flushes."""
    assert isinstance(app.transport, Transport)
    assert isinstance(app.producer_transport, Transport)
    assert not app.conf.producer_threaded
    assert not app.conf.topic_allow_declare
    assert app.conf.processing_guarantee is faust.types.enums.ProcessingGuarantee.AT_LEAST_ONCE


def test_nobody_lets_faust_make_batches() -> None:
    """L3, V1: `take` acks what nobody has seen, and stops for good at a record that it cannot read."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in Path(streams.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in FORGIVING
        and isinstance(node.value, ast.Name)
        and node.value.id in ("stream", "unacked")
    ]
    assert not found
