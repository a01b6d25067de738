"""The store: SQLite through APSW, one thread that writes, everything else reads for a moment."""

from bridge.store.connection import StoreRefused
from bridge.store.open import Options
from bridge.store.outbox import Outbox
from bridge.store.reader import CaseLine, Reader
from bridge.store.session import Head
from bridge.store.store import Health, SqliteStore, open_store

__all__ = [
    "CaseLine",
    "Head",
    "Health",
    "Options",
    "Outbox",
    "Reader",
    "SqliteStore",
    "StoreRefused",
    "open_store",
]
