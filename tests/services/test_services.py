"""The services that other tests stand on do start, and keep their data over a kill."""

import socket

from tests.services.kafka import Broker
from tests.services.redis import RedisServer


def test_kafka_answers_on_both_listeners(kafka_broker: Broker) -> None:
    for port in (kafka_broker.plain, kafka_broker.secure):
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_redis_keeps_what_was_written_over_a_kill(redis_server: RedisServer) -> None:
    assert _ask(redis_server, b"SET kept 1") == b"+OK"

    redis_server.kill()
    redis_server.start()

    assert _ask(redis_server, b"STRLEN kept") == b":1"


def _ask(server: RedisServer, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(command + b"\r\n")
        return connection.makefile("rb").readline().strip()
