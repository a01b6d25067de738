"""SIPp, a telephone that nobody here wrote: runs the scenarios beside this file.

    async with start_sipp(root, CITIZEN, server, values=..., tone=620) as citizen:
        report = await citizen.wait_ended(20)
    assert report.successful == 1, report.errors

A duty telephone is registered first, and answers on the port it registered:

    port = free_port()
    await register(root, server, "hotline", secret, port)
    async with start_sipp(root, DUTY_PHONE, server, values=..., tone=1000, port=port) as hotline:
        ...

A call that ends otherwise than its scenario says counts as failed; SIPp's own words about it are in
`errors`. Playing sound needs no right to raw sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import random
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.lab.child import end, free_port, launch
from bridge.lab.ports import HOST
from bridge.lab.root import AsteriskRoot
from bridge.lab.sdp import PCMA
from bridge.lab.tones import tone_payloads

SCENARIOS: Final = Path(__file__).with_name("scenarios")
CITIZEN: Final = "citizen"
DUTY_PHONE: Final = "duty_phone"
TELEPHONE: Final = "telephone"
REGISTER: Final = "register"
DEFAULTS: Final[Mapping[str, Mapping[str, str | int]]] = {
    CITIZEN: {"dial": "110", "caller": "13800138000", "header": "X-Lab: sipp", "talk_ms": 4000},
    DUTY_PHONE: {"ring_ms": 100, "press_ms": 1000, "key": "1", "talk_ms": 30000},
    TELEPHONE: {"ring_ms": 0, "talk_ms": 600_000},
    REGISTER: {"expires_s": 120},
}
"""What a scenario's blanks are filled with unless the caller says otherwise."""
TONE_CYCLES: Final = 10
"""The file that SIPp plays over and over holds so many times 100 ms."""
RTP_FIRST, RTP_LAST, RTP_SPAN = 40000, 58000, 2000
"""SIPp looks for free ports in a span of this range, above every laboratory's Asterisk."""
REGISTER_S: Final = 5.0
END_S: Final = 3.0
"""How long SIPp may take to end when told to, before it is killed."""
MAX_ERRORS: Final = 4000
"""Characters of SIPp's error file that a report keeps: the last ones."""

_BLANK: Final = re.compile(r"\{\{(\w+)\}\}")
_FORBIDDEN: Final = re.compile(r"[\r\n<>&\[\]\"]")


class SippError(Exception):
    """SIPp did not start, did not end in time, or could not register."""


@dataclass(frozen=True, slots=True)
class SippReport:
    """What SIPp says at its end. Times in ms; None where no call was answered."""

    exit_status: int
    created: int
    successful: int
    failed: int
    answer_ms: float | None
    """Mean time from INVITE to 200 (citizens only)."""
    log: str
    """What the scenario logged: for a duty telephone the From of each call."""
    errors: str


def fill(template: str, values: Mapping[str, str | int]) -> str:
    """A scenario with its blanks filled.

    Raises ValueError for a blank without a value, a value without a blank, or a value that would
    change the scenario itself.
    """
    blanks = set(_BLANK.findall(template))
    if missing := blanks - values.keys():
        raise ValueError(f"the scenario needs {sorted(missing)}")
    if unknown := values.keys() - blanks:
        raise ValueError(f"the scenario has no {sorted(unknown)}, only {sorted(blanks)}")
    for name, value in values.items():
        if _FORBIDDEN.search(str(value)):
            raise ValueError(f"{name}={value!r}: SIPp cannot send these signs")
    return _BLANK.sub(lambda blank: str(values[blank[1]]), template)


def parse_statistics(text: str) -> Mapping[str, str]:
    """The last line of SIPp's statistics file by column name; empty when there is none."""
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    return {name: value or "" for name, value in rows[-1].items() if name} if rows else {}


def report_from(exit_status: int, statistics: str, log: str, errors: str) -> SippReport:
    """The report that SIPp's files amount to."""
    row = parse_statistics(statistics)
    successful = int(row.get("SuccessfulCall(C)") or 0)
    return SippReport(
        exit_status=exit_status,
        created=int(row.get("TotalCallCreated") or 0),
        successful=successful,
        failed=int(row.get("FailedCall(C)") or 0),
        answer_ms=milliseconds(row.get("ResponseTime1(C)", "")),
        log=log,
        errors=errors[-MAX_ERRORS:],
    )


def milliseconds(clock: str) -> float | None:
    """`00:00:01:500000` (hours to microseconds) in ms; None when no call was timed."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+):(\d+)", clock)
    if match is None:
        return None
    hours, minutes, seconds, micro = map(int, match.groups())
    total = (hours * 60 + minutes) * 60_000 + seconds * 1000 + micro / 1000
    return total or None


class SippRun:
    """One SIPp at work."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self._process = process
        self._directory = directory

    async def wait_ended(self, timeout: float) -> SippReport:
        """Wait until SIPp has ended its calls; its report. Raises SippError after `timeout` s."""
        try:
            async with asyncio.timeout(timeout):
                status = await self._process.wait()
        except TimeoutError as late:
            raise SippError(f"SIPp still at it after {timeout} s: {self._read('errors')}") from late
        return self._report(status)

    async def wait_logged(self, words: str, timeout: float) -> str:
        """Wait until the scenario has logged `words`; the whole log. Raises SippError if not."""
        try:
            async with asyncio.timeout(timeout):
                while words not in (log := self._read("log")):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # a file of another program: it can only be asked
        except TimeoutError as late:
            raise SippError(f"SIPp logged no {words!r} within {timeout} s") from late
        return log

    async def stop(self) -> SippReport:
        """No new calls, the standing ones ended; by force when that takes over END_S."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGUSR1)
        return self._report(await end(self._process, END_S))

    async def kill(self) -> None:
        """End it without a word on the line: its telephones are dead."""
        await end(self._process)

    def _report(self, status: int) -> SippReport:
        read = self._read
        errors = read("errors") or (read("output") if status not in (0, 1, 99) else "")
        return report_from(status, read("statistics"), read("log"), errors)

    def _read(self, name: str) -> str:
        try:
            return (self._directory / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""


@contextlib.asynccontextmanager
async def start_sipp(
    root: AsteriskRoot,
    scenario: str,
    server: tuple[str, int],
    *,
    values: Mapping[str, str | int] | None = None,
    tone: int | None = None,
    port: int = 0,
    calls: int = 1,
    rate: float = 1.0,
    account: tuple[str, str] = ("lab", ""),
) -> AsyncIterator[SippRun]:
    """SIPp with one of the scenarios, ended at the latest when the block is left.

    `tone` in Hz is what its telephones say; `port` 0 lets the system choose; `calls` at `rate` a
    second, then it ends by itself; `account` is user and secret for digest authentication.
    Raises ValueError for values that do not fit the scenario, FileNotFoundError without SIPp.
    """
    directory = Path(tempfile.mkdtemp(prefix="bridge110-sipp-"))
    try:
        filled = dict(DEFAULTS[scenario]) | dict(values or {})
        if tone is not None:
            sound = directory / "tone.alaw"
            sound.write_bytes(b"".join(tone_payloads(tone, PCMA)) * TONE_CYCLES)
            filled["tone"] = str(sound)
        template = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        (directory / "scenario.xml").write_text(fill(template, filled), encoding="utf-8")
        arguments = _arguments(directory, server, port, calls, rate, account)
        run = SippRun(await launch(root.command("sipp", *arguments), directory), directory)
        try:
            yield run
        finally:
            await run.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _arguments(
    directory: Path,
    server: tuple[str, int],
    port: int,
    calls: int,
    rate: float,
    account: tuple[str, str],
) -> list[str]:
    media = random.randrange(RTP_FIRST, RTP_LAST, 2)
    files = {"-stf": "statistics", "-error_file": "errors", "-log_file": "log"}
    return [
        f"{server[0]}:{server[1]}",
        *("-sf", str(directory / "scenario.xml")),
        *("-i", HOST, "-p", str(port or free_port()), "-mi", HOST),
        *("-min_rtp_port", str(media), "-max_rtp_port", str(media + RTP_SPAN)),
        *("-m", str(calls), "-l", str(calls), "-r", str(max(1, round(rate * 10))), "-rp", "10s"),
        *("-au", account[0], "-ap", account[1]),
        *("-nostdin", "-aa", "-skip_rlimit", "-trace_stat", "-trace_err", "-trace_logs"),
        *("-fd", "1", "-cp", str(free_port())),
        *(part for flag, name in files.items() for part in (flag, str(directory / name))),
    ]


async def register(
    root: AsteriskRoot,
    server: tuple[str, int],
    account: str,
    secret: str,
    port: int,
    expires_s: int = 120,
) -> None:
    """Register `account` for a telephone that will answer on `port`; 0 s takes it off again.

    Raises SippError, in SIPp's words, when the server does not accept it.
    """
    values: dict[str, str | int] = {
        "account": account,
        "contact_port": port,
        "expires_s": expires_s,
    }
    own = (account, secret)
    async with start_sipp(root, REGISTER, server, values=values, account=own) as run:
        report = await run.wait_ended(REGISTER_S)
    if report.successful != 1:
        raise SippError(f"{account} was not registered at {server}: {report.errors}")
