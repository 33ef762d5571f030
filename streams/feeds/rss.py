"""Google Merchant Center's XML: RSS 2.0 items or Atom entries with `g:` names, read one at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from recsys.errors import ConfigError, EventError
from streams.feeds.columns import MORE_IMAGE_NAMES, column_name, product_of
from streams.feeds.rows import FeedRow, refused
from streams.text_files import open_bytes

_ENTRIES = {"item", "entry"}


def read_rss(path: Path, now_ms: int) -> Iterator[FeedRow]:
    """The items of an XML feed; entities and document types are refused, for they can grow without end.

    Raises
    ------
    ConfigError
        The file cannot be read or is no well-formed XML.
    """
    number, ancestors = 0, []
    with open_bytes(path) as file:
        try:
            for happening, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if happening == "start":
                    ancestors.append(element)
                    continue
                ancestors.pop()
                if _local(element) not in _ENTRIES:
                    continue
                number += 1
                yield _row(number, element, now_ms)
                if ancestors:
                    ancestors[-1].remove(element)  # else the whole feed would gather in memory
        except ParseError as error:
            raise ConfigError(f"{path} is no well-formed XML after item {number}: {error}.") from error
        except DefusedXmlException as error:
            raise ConfigError(f"{path} declares a document type or entities, which are not read.") from error


def _row(number: int, element: Any, now_ms: int) -> FeedRow:
    texts: dict[str, str] = {}
    more_images = []
    for child in element:
        name, text = column_name(_local(child)), (child.text or "").strip()
        if name == "link" and not text:
            text = child.get("href", "")  # Atom
        if name in MORE_IMAGE_NAMES:
            more_images.append(text)
        elif text and name not in texts:
            texts[name] = text
    try:
        return FeedRow(number, product_of(texts, now_ms, more_images))
    except EventError as error:
        return refused(number, error)


def _local(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]
