"""What aiokafka 0.14.0 does not do: turn to the addresses of the settings when all nodes that it knows are gone.

A client knows the nodes that were up when it last asked, at most five minutes ago. Of three of which two were down it
knows one; when that one goes, it asks nobody else, and stands still until that very node is back (KIP-899 has Java's
client begin anew). `tests/contracts/test_kafka_log.py` fails when a private name that this rests on changes.
"""

from typing import Any

from aiokafka.errors import KafkaError


def begin_anew_when_lost(client: Any) -> None:
    """Have an AIOKafkaClient look for nodes at its first addresses whenever no node that it knows answers."""
    update = client._metadata_update

    async def update_or_bootstrap(cluster: Any, topics: Any) -> bool:
        if await update(cluster, topics):
            return True
        try:
            await client.bootstrap()
        except KafkaError:
            return False
        return bool(await update(cluster, topics))

    client._metadata_update = update_or_bootstrap
