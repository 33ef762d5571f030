"""How large, deep and long a message and its fields may be, checked before anything is built from them."""

import re
from itertools import accumulate

from recsys.errors import EventError

MAX_MESSAGE_BYTES = 1 << 20
"""As Kafka's own default; the broker refuses more."""
MAX_DEPTH = 16
"""Levels of objects and lists; our own messages need 4, and msgspec recurses once a level."""
MAX_ID_CHARS = 256
MAX_NAME_CHARS = 512
"""Brands, categories, tags, placements, names and values of attributes."""
MAX_TITLE_CHARS = 2_000
MAX_DESCRIPTION_CHARS = 50_000
MAX_QUERY_CHARS = 1_000
MAX_URL_CHARS = 4_096
MAX_DATA_URI_CHARS = 700 * 1024
MAX_CATEGORIES = 32
MAX_TAGS = 200
MAX_ATTRIBUTES = 200
MAX_IMAGES = 20
MAX_ITEMS = 500
"""Items of one impression or order; GA4 sends at most 200."""
MAX_VALUE = 1_000_000.0
"""`value` scales a confidence: more than this would drown a whole history."""

# Everything up to the closing quote, or to the end where there is none: linear, also for hostile input.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROLS_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_bytes(value: bytes) -> None:
    """Refuse what is too large, not UTF-8 or nested too deep (`too-large`, `not-utf8`, `too-deep`); linear."""
    if len(value) > MAX_MESSAGE_BYTES:
        raise EventError("too-large", f"The message has {len(value)} bytes; at most {MAX_MESSAGE_BYTES} are taken.")
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise EventError("not-utf8", f"The message is not UTF-8: byte {error.start} does not fit.") from error
    # Most messages have fewer brackets than levels are allowed.
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and depth_of(value) > MAX_DEPTH:
        raise EventError("too-deep", f"The message nests deeper than {MAX_DEPTH} levels.")


def depth_of(value: bytes) -> int:
    """How deep the brackets outside strings nest; `MAX_DEPTH` where that is no more."""
    brackets = _STRINGS.sub(b"", value).translate(_ONE_KIND, _NOT_BRACKETS).translate(_ONE_KIND)
    shallower = brackets
    for _ in range(MAX_DEPTH):  # each round takes off the innermost level of all branches
        shallower = shallower.replace(b"[]", b"")
        if not shallower:
            return MAX_DEPTH
    return max(accumulate(1 if byte == 91 else -1 for byte in brackets))


def check_id(name: str, text: str) -> str:
    """The id itself; `invalid-id` when it is empty, over 256 characters or holds control characters."""
    if 0 < len(text) <= MAX_ID_CHARS and (text.isprintable() or not _CONTROLS.search(text)):
        return text
    if not text:
        raise EventError("invalid-id", f"{name} is empty.")
    if len(text) > MAX_ID_CHARS:
        raise EventError("invalid-id", f"{name} has {len(text)} characters; at most {MAX_ID_CHARS} are taken.")
    raise EventError("invalid-id", f"{name} holds control characters.")


def check_text(name: str, text: str, limit: int) -> str:
    """The text itself; `too-long` over `limit` characters, `invalid-text` with controls but tab and line ends."""
    if len(text) > limit:
        raise EventError("too-long", f"{name} has {len(text)} characters; at most {limit} are taken.")
    if not text.isprintable() and _CONTROLS_IN_TEXT.search(text):
        raise EventError("invalid-text", f"{name} holds control characters.")
    return text
