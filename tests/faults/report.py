"""REPORT.md out of the lines of a run. Pure but for reading and writing files.

`python -m tests.faults.report lines.jsonl …` makes it from the lines of several parts.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.domain.conversation import S
from tests.faults.cell import Bounds, Fate, Line, broken
from tests.faults.matrix import FAULTS, LASTING, NO_STATE, Fault, bounds, kills_once, nonsense
from tests.faults.order_matrix import OrderFault, OrderLine, order_kills

Lines = Sequence[Mapping[str, Any]]

HEAD = """# Fault matrix

Written by `make faults`. Every cell is a real call on a real Asterisk with real SIP telephones;
what became of it is told by the telephones: who was heard and when, and their signalling. One
fault strikes calls in all states at the same time, one call a state; a named step of the daemon
strikes the call whose act it belongs to.

A cell says what became of the citizen, the longest silence in milliseconds (a hold sound's and a
ringing's own pauses are none), and after how many seconds the desk showed what was true, counted
from the end of the fault; of a cell that was run more than once the last. **Bold** is not as
promised. `·` makes no sense; the reasons are below.
"""


ORDERS = """An order to a unit in each scene; a cell says after how many seconds a person had
signed, counted from the end of the fault, and what became of the attempts (people sign after seven
seconds, so that the daemon must first find out what became of what it had begun). `repeat`: it
carries 可能重复.
"""


def judged(line: Mapping[str, Any]) -> list[str]:
    """What this line broke: as the run judged it, else judged again."""
    if "broken" in line:
        return list(line["broken"])
    known = {"detail", "seed"}
    plain = {key: value for key, value in line.items() if key not in known}
    for fault in FAULTS:
        if fault.name == line["fault"]:
            return broken(Line(**plain), bounds(S(line["state"]), fault))
    for kill in kills_once():
        if kill.name == line["fault"]:
            missed = [line["detail"]] if line.get("detail", "").startswith("the step") else []
            return broken(Line(**plain), kill.bounds) + missed
    fate: Fate = line["citizen"]
    found = Bounds(may_end=fate == "ended", may_leave=fate == "left", silence_ms=1500)
    return broken(Line(**plain), found)


def _cell(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "?"
    fate = {"lost_with_asterisk": "lost"}.get(line["citizen"], line["citizen"])
    truth = "–" if line["truth_s"] is None else f"{line['truth_s']:.1f}"
    text = f"{fate} {line['silence_ms']} {truth}"
    return f"**{text}**" if judged(line) else text


def _matrix(lines: Lines) -> list[str]:
    found = {(line["state"], line["fault"]): line for line in lines}
    states = [state.value for state in LASTING]
    rows = [f"| fault | {' | '.join(states)} |", "|---" * (len(states) + 1) + "|"]
    for fault in FAULTS:
        cells = [
            "·" if nonsense(state, fault) else _cell(found.get((state.value, fault.name)))
            for state in LASTING
        ]
        rows.append(f"| {fault.name} | {' | '.join(cells)} |")
    return rows


def _kills(lines: Lines) -> list[str]:
    found = {(line["state"], line["fault"]): line for line in lines}
    rows = ["| state | what is done | dies at | citizen, silence, truth |", "|---|---|---|---|"]
    for kill in kills_once():
        line = found.get((kill.state.value, kill.name))
        where = f"{kill.place} `{kill.what}`"
        rows.append(f"| {kill.state.value} | {kill.doing} | {where} | {_cell(line)} |")
    return rows


def _reasons() -> list[str]:
    """Every cell that makes no sense, by its reason."""
    found: dict[str, list[tuple[S, Fault]]] = {}
    for fault in FAULTS:
        for state in LASTING:
            if reason := nonsense(state, fault):
                found.setdefault(reason, []).append((state, fault))
    rows = [f"* **{state.value}**, every fault: {reason}." for state, reason in NO_STATE.items()]
    for reason, cells in found.items():
        by_state: dict[str, list[str]] = {}
        for state, fault in cells:
            by_state.setdefault(state.value, []).append(fault.name)
        where = "; ".join(f"{state}: {', '.join(names)}" for state, names in by_state.items())
        rows.append(f"* {reason[0].upper()}{reason[1:]}. {where}.")
    return rows


def _random(lines: Lines) -> list[str]:
    runs = [line for line in lines if line["cell"] == "random"]
    if not runs:
        return ["None in this run."]
    failed = [line for line in runs if judged(line)]
    silence = max(line["silence_ms"] for line in runs)
    truths = [line["truth_s"] for line in runs if line["truth_s"] is not None]
    rows = [
        f"{len(runs)} programmes, {len(failed)} not as promised. Longest silence {silence} ms, "
        f"latest truth {max(truths, default=0):.1f} s."
    ]
    rows += [
        f"* seed {line['seed']}: {'; '.join(judged(line))} — `{line['fault']}`" for line in failed
    ]
    return rows


def _shown(lines: Lines) -> list[str]:
    """What was told before a kill and must be told after it."""
    random = [line for line in lines if "kills" in line]
    named = [line for line in lines if "kills" not in line and "shown" in line]
    if not random and not named:
        return ["Not looked at in this run."]
    sums = {key: sum(line[key] for line in [*random, *named]) for key in ("shown", "lost")}
    rows = [
        f"**{sum(line['kills'] for line in random)} kills at any moment and {len(named)} at named "
        f"steps: of {sums['shown']} things shown before, {sums['lost']} lost.** A thing is an "
        "event of the stream, which must be in the journal, or what a record says once and for "
        "all (a time, an outcome, who), which must be shown again."
    ]
    return [*rows, *(f"* {line['cell']}: {line['detail']}" for line in lines if line.get("lost"))]


def _orders(lines: Lines) -> list[str]:
    """Scenes × faults, then the kills."""
    struck = {fault.value for fault in OrderFault}
    scenes = list(dict.fromkeys(line["order"] for line in lines if line["fault"] in struck))
    found = {(line["order"], line["fault"]): line for line in lines}
    rows = [f"| fault | {' | '.join(scenes)} |", "|---" * (len(scenes) + 1) + "|"]
    for fault in OrderFault:
        cells = [_order_cell(found.get((scene, fault.value))) for scene in scenes]
        rows.append(f"| {fault.value} | {' | '.join(cells)} |")
    rows += ["", "| story | dies at | signed after, attempts |", "|---|---|---|"]
    for kill in order_kills():
        line = found.get((kill.story.title, kill.name))
        rows.append(f"| {kill.story.title} | {kill.place} `{kill.what}` | {_order_cell(line)} |")
    return rows


def _order_cell(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "?"
    on = "–" if line["on_s"] is None else f"{line['on_s']:.1f} s"
    text = f"{on}: {line.get('detail', '')}"
    broken = _order_broken(line)
    return f"**{text} {'; '.join(broken)}**" if broken else text


def _order_broken(line: Mapping[str, Any]) -> Sequence[str]:
    names = ("fault", "on_s", "acks_lost", "unmarked")
    return OrderLine(line["order"], *(line[name] for name in names)).broken


def _name(line: Mapping[str, Any]) -> tuple[object, ...]:
    """Of a cell; kills at any moment have none."""
    return (line["cell"], line["fault"], line.get("seed"), id(line) if "kills" in line else 0)


def latest(lines: Lines) -> Lines:
    """Each cell as it was seen last."""
    return list({_name(line): line for line in lines}.values())


def _again(lines: Lines) -> list[str]:
    """What was judged a second time, with what it broke the first time."""
    last = {_name(line): line for line in lines}
    rows = []
    for line in lines:
        now = last[_name(line)]
        if line is not now and judged(line):
            alone = "; ".join(judged(now)) or f"truth after {now['truth_s']:.1f} s"
            name = f"seed {line['seed']}" if "seed" in line else line["cell"]
            rows.append(f"* {name}: {'; '.join(judged(line))}. Alone: {alone}")
    return rows or ["Nothing."]


def report(lines: Lines, took: str = "") -> str:
    """The whole page; `took` in words where it was one run."""
    kills = [line for line in lines if "kills" in line]
    again = _again([line for line in lines if "kills" not in line and "order" not in line])
    lines = latest([line for line in lines if "kills" not in line])
    orders = [line for line in lines if "order" in line]
    lines = [line for line in lines if "order" not in line]
    cells = [line for line in lines if line["cell"] != "random"]
    failed = [line for line in cells if judged(line)]
    fates: dict[str, int] = {}
    for line in lines:
        fates[line["citizen"]] = fates.get(line["citizen"], 0) + 1
    sums = {key: sum(line[key] for line in lines) for key in ("handoffs_lost", "double_acts")}
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    parts = [
        HEAD,
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; load {os.getloadavg()[1]:.1f} in the last minutes"
        f"{took and f'; {took}'}.\n",
        f"**{len(cells)} cells, {len(failed)} not as promised.** Citizens: {told}. Handoffs lost: "
        f"{sums['handoffs_lost']}. Acts done twice: {sums['double_acts']}.\n",
        f"**{len(orders)} orders, {sum(bool(_order_broken(line)) for line in orders)} not as "
        f"promised.** Signatures lost: {sum(line['acks_lost'] for line in orders)}. Repeated "
        f"without the mark: {sum(line['unmarked'] for line in orders)}.\n",
        *(
            f"* {line['cell']}: {'; '.join(judged(line))} {line.get('detail', '')}"
            for line in failed
        ),
        "\n## States × faults\n",
        *_matrix(cells),
        "\n## The daemon killed at every named step\n",
        *_kills(cells),
        "\n## Orders: a fault for every attempt on its way\n",
        ORDERS,
        *_orders(orders),
        "\n## Nothing shown is lost\n",
        *_shown([*cells, *kills]),
        "\n## Cells that make no sense\n",
        *_reasons(),
        "\n## Random programmes\n",
        *_random(lines),
        "\n## Late beside another world, judged again alone\n",
        *again,
    ]
    return "\n".join(parts).rstrip() + "\n"


def write_report(path: Path, lines: Lines, took: str = "") -> None:
    path.write_text(report(lines, took), encoding="utf-8")


def main(files: Sequence[str]) -> int:
    lines = [json.loads(row) for file in files for row in Path(file).read_text().splitlines()]
    write_report(Path(__file__).with_name("REPORT.md"), lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
