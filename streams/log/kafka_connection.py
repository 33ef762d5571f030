"""How to reach and convince a Kafka, said once for aiokafka, kafka-python and Faust; and its administration."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.conn import create_conn
from kafka.admin import KafkaAdminClient

from recsys.errors import ConfigError, UnavailableError
from streams.log.kafka_errors import FOREIGN, as_ours
from streams.settings import Settings

SCRAM = "SCRAM-SHA-512"
REQUEST_TIMEOUT_MS = 30_000
RETRY_S = 0.2
"""Between two tries of a request to a broker that does not answer."""
ATTEMPT_S = 10.0
"""For one connection and what is said at its beginning; a broker that collects garbage takes some seconds."""
SAID_AFTER_S = 3.0
"""Who watches the start should know sooner than when patience ends what it hangs on."""
SILENT = (
    "nothing there answers as a Kafka does (are the host and port of FRESHET_BROKER right, and FRESHET_KAFKA_SECURITY?)"
)
logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The certificates to trust, None for a plain connection.

    Raises
    ------
    ConfigError
        If FRESHET_KAFKA_CA cannot be read as certificates.
    """
    if settings.kafka_security == "plaintext":
        return None
    try:
        return ssl.create_default_context(cafile=settings.kafka_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"FRESHET_KAFKA_CA names {str(settings.kafka_ca)!r}, which holds no readable certificate: {error}."
        ) from error


def connection_options(settings: Settings) -> dict[str, Any]:
    """Options that aiokafka and kafka-python both take to connect.

    Raises
    ------
    ConfigError
        If a port, user or password is missing, or the certificates cannot be read.
    """
    for address in settings.kafka_bootstrap:
        if not address.rpartition(":")[2].isdigit():
            raise ConfigError(f"FRESHET_BROKER names {address!r}, which has no port: write kafka://host:9092.")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security.upper(),
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if context := tls_context(settings):
        options["ssl_context"] = context
    if settings.kafka_security == "sasl_ssl":
        if not settings.kafka_username or not settings.kafka_password:
            raise ConfigError(
                "FRESHET_KAFKA_SECURITY is sasl_ssl: set FRESHET_KAFKA_USERNAME and FRESHET_KAFKA_PASSWORD too."
            )
        options["sasl_mechanism"] = SCRAM
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password
    return options


async def log_in(options: dict[str, Any], patience_s: float) -> None:
    """Return once a broker has let us in, by one connection that is closed again; says after 3 s what it waits for.

    Both clients hide a refused password or certificate behind "cannot connect"; a connection by hand says it.

    Raises
    ------
    ConfigError
        If it refuses the user, or we its certificate.
    UnavailableError
        If no broker answered for `patience_s` seconds.
    """
    others = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    deadline = time.monotonic() + patience_s
    attempt_s = min(ATTEMPT_S, patience_s)
    fault = SILENT
    addresses = ", ".join(options["bootstrap_servers"])
    saying = asyncio.get_running_loop().call_later(
        SAID_AFTER_S, lambda: logger.warning("Waiting for Kafka at %s: %s.", addresses, fault)
    )
    try:
        while True:
            for address in options["bootstrap_servers"]:
                host, _, port = address.rpartition(":")
                try:
                    async with asyncio.timeout(attempt_s):
                        connection = await create_conn(host, int(port), **others)
                except FOREIGN as error:
                    fault = SILENT if isinstance(error, TimeoutError) else str(error)
                    told = TimeoutError(SILENT) if isinstance(error, TimeoutError) else error
                    ours = as_ours(told, f"connecting to {address}")
                    if not isinstance(ours, UnavailableError) or time.monotonic() > deadline:
                        raise ours from error
                else:
                    connection.close()
                    return
            await asyncio.sleep(RETRY_S)
    finally:
        saying.cancel()


class _Client(KafkaAdminClient):  # type: ignore[misc]
    """Closes its thread and sockets also when it could not connect."""

    def __init__(self, **options: Any) -> None:
        self._closed = False
        try:
            super().__init__(**options)
        except BaseException:
            self.close()
            raise


class KafkaAdmin:
    """kafka-python's admin client in a thread of its own; asks again while the broker does not answer."""

    def __init__(self, options: dict[str, Any], patience_s: float) -> None:
        self._options = {**options, "bootstrap_timeout_ms": max(1, int(patience_s * 1000))}
        self._patience_s = patience_s
        self._thread = ThreadPoolExecutor(1, "kafka-admin")
        self._client: _Client | None = None

    async def ask(self, doing: str, question: Callable[[Any], Answer]) -> Answer:
        """Run `question(client)` in the thread.

        Raises
        ------
        UnavailableError
            If there was no answer for `patience_s` seconds.
        ConfigError, StateError
            As `kafka_errors.as_ours` tells them apart.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, doing, question)

    def _ask(self, doing: str, question: Callable[[Any], Answer]) -> Answer:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                if self._client is None:
                    self._client = _Client(**self._options)
                return question(self._client)
            except FOREIGN as error:
                ours = as_ours(error, doing)
                # The client remembers coordinators and controllers that may be gone.
                self._forget_client()
                if not isinstance(ours, UnavailableError) or time.monotonic() > deadline:
                    raise ours from error
            time.sleep(RETRY_S)

    def _forget_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def close(self) -> None:
        """Close the connections and end the thread; a second time does nothing."""
        await asyncio.to_thread(self._thread.shutdown)
        self._forget_client()
