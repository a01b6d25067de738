"""Speed of papers: one order sheet from its values to TIFF, PDF, HTML and text."""

from __future__ import annotations

import asyncio
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import PIL

from bridge.documents.service import Documents
from bridge.domain.delivery import OrderSheet
from tests.bench.store import Record, longest_lag

COUNT = 300
WORDS = "路面自来水管爆裂,积水约 30 厘米,已漫入沿街商铺,两名老人被困二楼,请立即组织抢修。" * 4


def sheet(n: int) -> OrderSheet:
    """An order as it is on an ordinary day: four sentences, every field filled."""
    return OrderSheet(
        order=f"20260301-{n:06}-01",
        code=f"{n:08}",
        kind="site",
        klass="URGENT",
        case=f"20260301-{n:06}",
        unit="6001",
        unit_name="市供水集团",
        squad="抢修二队",
        place=f"兰山区金雀山路 {n} 号",
        words=WORDS,
        category="市政公用 / 供水",
        equipment="抽水泵 2 台",
        caller_number="13805391234",
        caller_name="张先生",
        centre="110 指挥中心",
        centre_number="110",
        issued_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        arrival_limit_s=900,
        result_limit_s=86400,
    )


async def _measure() -> tuple[list[float], float]:
    documents = Documents(ZoneInfo("Asia/Shanghai"))
    taken: list[float] = []
    try:
        for n in range(20):
            await documents.paper(sheet(n))
        lag = asyncio.create_task(longest_lag())
        for n in range(COUNT):
            started = time.perf_counter()
            await documents.paper(sheet(n))
            taken.append(1000 * (time.perf_counter() - started))
        lag.cancel()
        return taken, 1000 * await lag
    finally:
        documents.close()


def render_ms() -> Record:
    """One order sheet, off the event loop; 99th percentile."""
    taken, lag = asyncio.run(_measure())
    return {
        "name": "document.render_ms",
        "value": round(statistics.quantiles(taken, n=100)[98], 2),
        "unit": "ms",
        "baseline": round(statistics.median(taken), 2),
        "worst": round(max(taken), 2),
        "n": COUNT,
        "load": "one page as TIFF, PDF, HTML and text, one after the other; baseline: median; "
        f"the loop was late by {lag:.1f} ms at most",
        "versions": {"python": platform.python_version(), "pillow": PIL.__version__},
    }


BENCHES: dict[str, Callable[[], Record]] = {"document.render_ms": render_ms}
