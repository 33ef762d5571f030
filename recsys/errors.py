"""The error tree: one class for each thing a caller does differently.

RecsysError
├── EventError        the message is at fault      -> dead letter, go on
├── EncodingError     this item can't be embedded  -> dead letter, go on
├── UnavailableError  the outside is down          -> back off, the same event again
├── StateError        we contradict ourselves      -> stop, restore
└── ConfigError       a setting is wrong           -> refuse to start
"""


class RecsysError(Exception):
    """The root of all errors that Freshet raises on purpose."""


class EventError(RecsysError):
    """A message cannot be taken; it becomes a dead letter and the stream goes on.

    `reason` is a stable code in kebab case (`malformed-json`, `too-large`, `missing-field`,
    `wrong-type`, `unknown-type`, `in-the-future`, …); the text says what, where and what to do.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason, self.text = reason, text
        super().__init__(text)


class EncodingError(RecsysError):
    """One item cannot be embedded (a picture that is none, say); `reason` is a stable code."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason, self.text = reason, text
        super().__init__(text)


class UnavailableError(RecsysError):
    """Something outside does not answer: hold the batch, back off, try the same again."""


class StateError(RecsysError):
    """Two things of ours that must agree do not: stop, and restore from the log."""


class DimensionError(StateError):
    """Two arrays that must agree on a dimension do not."""

    def __init__(self, what: str, *, expected: int, got: int) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"{what} has dimension {got}, expected {expected}.")


class SnapshotError(StateError):
    """A file of ours is truncated, altered or of another version; it is rebuilt from the log."""


class LogFailedError(StateError):
    """The disk does not take what is written to the embedded log: end, and start again when it does (exit code 75)."""


class OwnershipLostError(StateError):
    """This process no longer owns what it was about to write (exit code 75)."""


class ConfigError(RecsysError):
    """A setting, a topic's shape or a file the user gave is wrong: one sentence, no traceback."""
