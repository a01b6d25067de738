"""Linter rules about how the plan is written. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.asterisk.dialplan import CHANNELS, MistakeKind
from bridge.asterisk.lint_hit import Check, Hit
from bridge.asterisk.routes import Routes


def mistakes(kind: MistakeKind) -> Check:
    """The rule that tells the reader's own mistakes of this kind."""

    def check(routes: Routes) -> Iterator[Hit]:
        return (Hit(m.place, m.text) for m in routes.plan.mistakes if m.kind == kind)

    return check


def missing_comment(routes: Routes) -> Iterator[Hit]:
    """A context without a line that says what it is for."""
    for context in routes.plan.contexts.values():
        if not context.comment:
            yield Hit(context.place, f"[{context.name}]")


def channel_tag(routes: Routes) -> Iterator[Hit]:
    """A context that does not say whose channel runs it, or names none that is known."""
    for context in routes.plan.contexts.values():
        unknown = [name for name in context.channels if name not in CHANNELS]
        if not context.channels:
            yield Hit(context.place, f"[{context.name}]")
        elif unknown:
            yield Hit(context.place, f"[{context.name}] channel: {', '.join(unknown)}")
