"""What an error of SQLite means for those who wait: one of the outcomes of a commit.

A commit is done, not done, or *unknown* (guard rule 2). Up to the COMMIT itself nothing can have
happened. An error of the COMMIT leaves it open, but for those listed in `NOT_DONE_IN_COMMIT`.
"""

from __future__ import annotations

import errno

import apsw

from bridge.flows.ports import StoreError, StoreFull, StoreInvalid

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""System errors that mean "no room": disk, quota, file size limit."""

MENDS: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.BusyError, "another program holds the database; only the daemon may write it"),
    (apsw.ReadOnlyError, "the database is read-only; look at owner, mount and rights"),
    (apsw.CantOpenError, "the database cannot be opened; look at owner, mount and rights"),
    (apsw.CorruptError, "the database is damaged; run `bridge110 db verify`, restore a backup"),
    (apsw.NotADBError, "the file is no database; restore a backup"),
    (apsw.IOError, "the disk failed; look at the kernel's log, `bridge110 db verify` afterwards"),
)


def is_full(error: apsw.Error, system_errno: int) -> bool:
    """True when there was no room. A file size limit shows as a write error (guard 3.3)."""
    if isinstance(error, apsw.FullError):
        return True
    written = getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_WRITE
    return written and system_errno in NO_SPACE


def is_certain_in_commit(error: apsw.Error, system_errno: int) -> bool:
    """True when a failed COMMIT has certainly not happened.

    The frame that ends a transaction is the last one written to the WAL, so a transaction that
    found no room lacks it; a busy or constraint error comes before anything is written. After a
    failed sync the frame may be on the disk: not certain (guard finding 3).
    """
    return isinstance(error, apsw.BusyError | apsw.ConstraintError) or is_full(error, system_errno)


def not_done(error: Exception, system_errno: int = 0) -> StoreError:
    """The error to give to who waits for a transaction that has certainly not happened."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, apsw.Error) and is_full(error, system_errno):
        return StoreFull("no space left on the disk of the store; free some, writing then goes on")
    if isinstance(error, apsw.ConstraintError | apsw.TooBigError):
        return StoreInvalid(f"the schema refuses it: {error}")
    for kind, mend in MENDS:
        if isinstance(error, kind):
            return StoreError(f"{mend} ({error})")
    return StoreError(f"{type(error).__name__}: {error}")
