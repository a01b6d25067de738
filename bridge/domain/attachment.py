"""Pictures and papers that go with a report or an order: known by their content, kept by its hash.

A file is named by the SHA-256 of its octets and a suffix that those octets earn; what a sender
called it is never used for anything. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.domain.journal import Fact

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one file: a telephone's photograph has two to five million."""
MAX_FILES: Final = 4
"""With one report."""
MAX_OF_CASE: Final = 100
"""Of one case together, so that nobody fills the disk the journal is on."""
NAME: Final = re.compile(r"([0-9a-f]{64})\.(jpg|png|webp|pdf|tiff|html|txt)")
MEDIA: Final[Mapping[str, str]] = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
_BEGINS: Final = (
    ("jpg", re.compile(rb"\xff\xd8\xff")),
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("pdf", re.compile(rb"%PDF-[0-9]")),
)


def kind_of(data: bytes) -> str | None:
    """The suffix of a picture or PDF, by how it begins; None: nothing that is taken."""
    return next((kind for kind, begins in _BEGINS if begins.match(data)), None)


def name_of(data: bytes, kind: str) -> str:
    """What the file is called here."""
    return f"{hashlib.sha256(data).hexdigest()}.{kind}"


def is_whole(name: str, data: bytes) -> bool:
    """Whether these octets are the ones that the name names."""
    found = NAME.fullmatch(name)
    return found is not None and hashlib.sha256(data).hexdigest() == found[1]


def media_of(name: str) -> str:
    """The media type of a file of ours. KeyError for any other name."""
    return MEDIA[name.rpartition(".")[2]]


def files_named(fact: Fact) -> Iterator[str]:
    """Files of ours that a fact names: attachments, and papers that were printed."""
    data: Mapping[str, Any] = fact.data
    named = [*(data.get("attachments") or ())] if fact.kind in _WITH_FILES else []
    if fact.kind == "paper.printed":
        named = [*data["files"].values()]
    return (str(one) for one in named if NAME.fullmatch(str(one)))


_WITH_FILES: Final = frozenset(
    {"order.reported", "order.lateReport", "case.attached", "peer.attached"}
)
FACTS_WITH_FILES: Final = (*sorted(_WITH_FILES), "paper.printed")
