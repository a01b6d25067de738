"""The documents that the tests of a process share: making them reads a 16 MB typeface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.documents.service import Documents
from tests.documents.papers import ZONE


@pytest.fixture(scope="session")
def documents() -> Iterator[Documents]:
    made = Documents(ZONE)
    yield made
    made.close()
