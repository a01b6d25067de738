"""Generated examples have no deadline here: a loaded machine is no fault of a codec."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient", parent=settings.default, deadline=None)
settings.load_profile("patient")
