"""Which desk a matter goes to by its area: each county has its own (属地管理, LY-12). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

HOTLINE = "12345"


@dataclass(frozen=True, slots=True)
class Territory:
    """Areas of the desks that are a county's own; the others serve everywhere else."""

    areas: Mapping[str, Collection[str]] = field(default_factory=dict)

    def desk(self, asked: str, area: str) -> str:
        """The desk meant when `asked` is named for a matter of that area: a desk without areas
        gives way to the one whose area it is; a desk asked for by its own number is that desk."""
        if not area or self.areas.get(asked):
            return asked
        return next((desk for desk, areas in self.areas.items() if area in areas), asked)
