"""What `bridge110 check` finds: one line a thing looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.journal import Json


@dataclass(frozen=True, slots=True)
class Found:
    """`good` is None where it could not be looked at. All words are zh-CN first, then English."""

    name: str
    good: bool | None
    what: str
    mend: str = ""

    def as_json(self) -> dict[str, Json]:
        """For programs."""
        return {"name": self.name, "good": self.good, "what": self.what, "mend": self.mend}


def good(name: str, what: str) -> Found:
    """As it should be."""
    return Found(name, True, what)


def bad(name: str, what: str, mend: str) -> Found:
    """Not as it should be."""
    return Found(name, False, what, mend)


def unseen(name: str, what: str) -> Found:
    """It could not be looked at, because of something told elsewhere."""
    return Found(name, None, what)


def judged(name: str, wrong: str | None, well: str, mend: str) -> Found:
    """Good where nothing is wrong."""
    return good(name, well) if wrong is None else bad(name, wrong, mend)


def words(found: Sequence[Found]) -> str:
    """A line each, with the mend below what is wrong."""
    marks = {True: "✔", False: "✖", None: "–"}
    lines = []
    for one in found:
        lines.append(f"{marks[one.good]} {one.name}: {one.what}")
        if one.mend:
            lines.append(f"    → {one.mend}")
    wrong, unknown = sum(f.good is False for f in found), sum(f.good is None for f in found)
    lines.append(
        f"{len(found)} 项,{wrong} 项有问题,{unknown} 项未能查看 / "
        f"{len(found)} looked at, {wrong} wrong, {unknown} not seen"
    )
    return "\n".join(lines)
