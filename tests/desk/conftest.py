"""The documents whose papers the desk shows."""

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
