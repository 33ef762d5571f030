"""The log that the settings name."""

from pathlib import Path

from streams.log.base import Log
from streams.log.lease import Lease
from streams.settings import Settings


def log_path(settings: Settings) -> Path:
    """The file of the embedded log."""
    return settings.log_dir / "log.db"


def open_log(settings: Settings, lease: Lease | None = None) -> Log:
    """The embedded log or Kafka, as `settings.broker` says; not started yet.

    Within one process, all who open the same embedded log get the same object; each `start` has its own `stop`.
    On Kafka a `lease` bounds when it appends (`kafka_fence`); an embedded log has one process, and a lock.
    """
    # Only what is used is loaded: the Kafka client takes a while, and the embedded log needs POSIX locks.
    if settings.is_embedded:
        from streams.log.embedded import EmbeddedLog

        return EmbeddedLog.shared(log_path(settings))
    from streams.log.kafka import KafkaLog

    return KafkaLog(settings, lease=lease)
