"""Faust applications, made alike: the transport of the settings' broker, and settings under which nothing is lost."""

import logging
from typing import Any

import faust

from streams.log.lease import REBALANCE_SESSIONS, Lease
from streams.log.open import log_path
from streams.settings import Settings

SESSION_TIMEOUT_S = 10.0
"""A killed worker's partitions move after this; shorter, and a pause of the machine moves them too."""
BUFFERED_EVENTS = 512
"""Events that wait in an agent's queue: two batches, since more only lengthens a rebalance."""


def make_app(
    settings: Settings, name: str, *, session_timeout_s: float = SESSION_TIMEOUT_S, lease: Lease | None = None
) -> faust.App:
    """Make the application `freshet-NAME` on Kafka or on the embedded log.

    Agents on it lose nothing if they drain with `streams.agents.batches.drained`, await every output, and ack last.

    Parameters
    ----------
    settings
        The broker, the prefix and the folder for Faust's few files.
    name
        Such as "embed" or "recommend"; with the prefix it makes the consumer group.
    session_timeout_s
        How long Kafka waits for a silent worker.
    lease
        Is held while the application is a member of its group; on the embedded log nobody looks at it.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        app_id(settings, name),
        broker=_broker(settings),
        broker_credentials=_credentials(settings),
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 10,
        broker_rebalance_timeout=REBALANCE_SESSIONS * session_timeout_s,
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=BUFFERED_EVENTS,
        stream_recovery_delay=0.0,
        store="memory://",
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        producer_threaded=False,  # a threaded producer is not flushed before a commit
        web_enabled=False,
        datadir=settings.data_dir / "faust",
    )
    transport = _transport(settings)
    app.transport = transport(app.conf.broker_consumer, app)
    app.producer_transport = transport(app.conf.broker_producer, app)
    app.freshet_lease = lease
    # At DEBUG its calls cost a tenth of the CPU of an event even when nothing is written.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    return app


def app_id(settings: Settings, name: str) -> str:
    """The Faust application's id, which is its consumer group's name too."""
    return f"{settings.topic_prefix}freshet-{name}"


def _broker(settings: Settings) -> str:
    if not settings.is_embedded:
        return settings.broker
    from streams.log.faust_embedded import embedded_url

    return embedded_url(log_path(settings))


def _transport(settings: Settings) -> Any:
    # Only what is used is loaded, as in `streams.log.open`.
    if settings.is_embedded:
        from streams.log.faust_embedded import Transport as EmbeddedTransport

        return EmbeddedTransport
    from streams.log.faust_kafka import Transport

    return Transport


def _credentials(settings: Settings) -> Any:
    if settings.is_embedded or settings.kafka_security == "plaintext":
        return None
    from streams.log.kafka_connection import SCRAM, tls_context

    context = tls_context(settings)
    if settings.kafka_security == "ssl":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=settings.kafka_username, password=settings.kafka_password, ssl_context=context, mechanism=SCRAM
    )
