"""Shared cases as Hypothesis makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bridge.domain.shared_case import (
    Attachment,
    Caller,
    CaseStatus,
    Feedback,
    HandoffPart,
    SharedCase,
)

CALM = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""For a machine on which much else runs: no test fails because it was slow."""

LINE = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    max_size=12,
)
NUMBER = st.from_regex(r"\+?[0-9]{0,12}", fullmatch=True)
START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = st.integers(0, 30_000_000_000).map(lambda ms: START + timedelta(milliseconds=ms))
FEEDBACK = st.builds(Feedback, MOMENT, LINE, LINE, LINE)
ATTACHMENT = st.builds(
    Attachment,
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    LINE,
    st.just("https://desk.example/a/1"),
)


def cases(case: str = "C-1", origin: str = "linyi") -> st.SearchStrategy[SharedCase]:
    """Documents of one case."""
    return st.builds(
        SharedCase,
        case=st.just(case),
        origin=st.just(origin),
        klass=st.sampled_from(["", "POLICE", "URGENT", "GENERAL"]),
        category=LINE,
        area=LINE,
        place=LINE,
        words=LINE,
        caller=st.builds(Caller, NUMBER, LINE),
        occurred_at=st.none() | MOMENT,
        received_by=LINE,
        call=LINE,
        handoff=st.builds(HandoffPart, LINE, st.none() | MOMENT, st.none() | MOMENT, LINE),
        status=st.sampled_from(CaseStatus),
        feedback=st.lists(FEEDBACK, max_size=4, unique=True).map(lambda f: tuple(sorted(f))),
        ticket=LINE,
        attachments=st.lists(ATTACHMENT, max_size=2, unique=True).map(lambda a: tuple(sorted(a))),
        revision=st.integers(1, 5),
        changed_at=MOMENT,
        changed_by=LINE,
    )
