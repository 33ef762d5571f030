"""Errors of the two Kafka clients as ours: the one place where they are told apart.

aiokafka and kafka-python name most errors alike, so the tables hold names without the ending `Error`.
"""

import ssl

from aiokafka.errors import ConsumerStoppedError, IllegalOperation
from aiokafka.errors import KafkaError as AiokafkaError
from kafka.errors import KafkaError as KafkaPythonError

from recsys.errors import ConfigError, EventError, RecsysError, StateError, UnavailableError

FOREIGN = (AiokafkaError, KafkaPythonError, ConsumerStoppedError, IllegalOperation, OSError, TimeoutError)
"""All that a call of either client may raise for a reason outside the process."""

TOO_LARGE = frozenset({"MessageSizeTooLarge", "RecordTooLarge", "RecordListTooLarge"})
MALFORMED = frozenset({"InvalidRecord", "InvalidTimestamp"})

WRONG_SETTING = frozenset(
    {
        "AuthenticationFailed",
        "AuthenticationMethodNotSupported",
        "Authorization",
        "ClusterAuthorizationFailed",
        "GroupAuthorizationFailed",
        "IllegalSaslState",
        "IncompatibleBrokerVersion",
        "InconsistentGroupProtocol",
        "InvalidConfiguration",
        "InvalidGroupId",
        "InvalidPartitions",
        "InvalidReplicationAssignment",
        "InvalidReplicationFactor",
        "InvalidRequiredAcks",
        "InvalidSessionTimeout",
        "InvalidTopic",
        "KafkaConfiguration",
        "PolicyViolation",
        "SaslAuthenticationFailed",
        "SecurityDisabled",
        "TopicAuthorizationFailed",
        "TransactionalIdAuthorizationFailed",
        "UnrecognizedBrokerVersion",
        "UnsupportedCodec",
        "UnsupportedCompressionType",
        "UnsupportedForMessageFormat",
        "UnsupportedSaslMechanism",
        "UnsupportedVersion",
    }
)

OUTSIDE_IS_DOWN = frozenset(
    {
        "BrokerNotAvailable",
        "ConsumerStopped",
        "KafkaProtocol",
        "KafkaTimeout",
        "KafkaUnavailable",
        "NewLeaderElected",
        "ProducerClosed",
        "QuotaViolation",
        "RebalanceInProgress",
        "ReplicaNotAvailable",
        "StaleControllerEpoch",
        "StaleLeaderEpochCode",
        "UnknownBrokerId",
        "UnknownControllerId",
        "Unknown",
    }
)
"""Besides those that the clients themselves call retriable."""


def as_ours(error: BaseException, doing: str) -> RecsysError:
    """Say which of our errors a client's error is; raise the answer `from` it.

    What no table names is a `StateError`: an idempotent producer out of sequence, a fenced member, a lost record.
    The process stops then, and a restart begins from the log.

    Parameters
    ----------
    error
        One of `FOREIGN`.
    doing
        What failed, as the beginning of a sentence: "appending to clicks".
    """
    name = type(error).__name__.removesuffix("Error")
    text = f"{doing} failed: {str(error) or type(error).__name__}"
    if name in TOO_LARGE:
        return EventError("too-large", f"{text}. The broker takes no record of this size.")
    if name in MALFORMED:
        return EventError("wrong-type", text)
    if name in WRONG_SETTING or isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(f"Kafka refuses: {text}. Check FRESHET_BROKER and the FRESHET_KAFKA_ settings.")
    is_outside = isinstance(error, OSError | TimeoutError) or name in OUTSIDE_IS_DOWN
    if is_outside or getattr(error, "retriable", False):
        return UnavailableError(f"Kafka does not answer: {text}")
    return StateError(f"Kafka and we contradict each other: {text}")
