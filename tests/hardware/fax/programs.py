"""efax, mgetty's sendfax and HylaFAX, unpacked beside the machine's own packages, and how each is
told to send or receive one page. Their packages exclude each other, so none is installed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from bridge.lab.child import end, launch
from bridge.lab.progress import SetupError
from bridge.lab.root import cache_dir
from hardware.fax.page import FINE_DPI, Page

PACKAGES: Final = ("efax", "mgetty-fax", "hylafax-server", "hylafax-client")
SEND_SECONDS: Final = 200.0
HYLAFAX_USER: Final = "uucp"
"""As whom Debian's HylaFAX runs; its programs start as root and change to it."""
_JOB: Final = {
    "retrytime": 0, "state": 6, "npages": 0, "totpages": 1, "nskip": 0, "skippages": 0,
    "ncover": 0, "coverpages": 0, "ntries": 0, "ndials": 0, "totdials": 0, "maxdials": 3,
    "tottries": 0, "maxtries": 3, "pagewidth": 216, "resolution": 196, "pagelength": 279,
    "priority": 127, "schedpri": 127, "desiredbr": 5, "desiredst": 0, "desiredec": 2,
    "desireddf": 3, "desiredtl": 0, "useccover": 0, "usexvres": 1, "mailaddr": "root@localhost",
    "sender": "rig", "jobid": 1, "groupid": 1, "conversions": 0, "notify": "none",
    "modem": "any", "owner": HYLAFAX_USER, "client": "localhost", "jobtype": "facsimile",
    "pagehandling": "01P", "chopthreshold": 3, "pagechop": "default", "doneop": "default",
    "commid": "", "status": "",
}  # fmt: skip
"""A job as HylaFAX's scheduler would hand it to faxsend (sendq(5f))."""


def programs() -> Path:
    """The directory with the unpacked programs; made once. Raises SetupError."""
    place = cache_dir() / f"fax-programs-{platform.machine()}"
    if (place / "complete").exists():
        return place
    making = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        subprocess.run(
            ["apt-get", "-q", "download", *PACKAGES], cwd=making, check=True,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        for package in sorted(making.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(making)], check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{PACKAGES} cannot be unpacked: {error}") from error
    (making / "complete").touch()
    shutil.rmtree(place, ignore_errors=True)
    making.rename(place)
    return place


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended."""

    status: int
    words: str
    seconds: float


async def run(command: list[str], directory: Path, **environment: str) -> Ran:
    """A program to its end."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "LC_ALL": "C"} | environment,
    )
    try:
        words, _ = await asyncio.wait_for(process.communicate(), SEND_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        words = b"killed: too late"
    status = -1 if process.returncode is None else process.returncode
    return Ran(status, words.decode(errors="replace"), time.monotonic() - began)


def write_pbm(page: Page, file: Path) -> None:
    """The page for programs that take PBM."""
    file.write_bytes(b"P4\n%d %d\n" % (page.width, page.height) + page.rows)


async def efax_send(device: Path, fax_class: str, page: Page, number: str, place: Path) -> Ran:
    """efax without its header line; class 1, 2 or 2.0."""
    write_pbm(page, place / "efax.pbm")
    option = {"1": "-o1", "2": "-o2", "2.0": "-o0"}[fax_class]
    program = programs() / "usr/bin/efax"
    command = [str(program), "-d", str(device), option, "-l", "7001", "-h", ""]
    return await run([*command, "-t", number, str(place / "efax.pbm")], place)


async def mgetty_send(device: Path, fax_class: str, page: Page, number: str, place: Path) -> Ran:
    """mgetty's sendfax; class 2 or 2.0."""
    write_pbm(page, place / "mgetty.pbm")
    with (place / "mgetty.g3").open("wb") as made:
        subprocess.run(
            [str(programs() / "usr/bin/pbm2g3"), str(place / "mgetty.pbm")],
            stdout=made, check=True, timeout=30,
        )  # fmt: skip
    name = os.path.relpath(device, "/dev")  # its devices are below /dev
    option = {"2": "cls2", "2.0": "c2.0"}[fax_class]
    command = [str(programs() / "usr/sbin/sendfax"), "-v", "-C", option, "-l", name]
    return await run([*command, number, str(place / "mgetty.g3")], place)


class HylaFax:
    """A spool directory of HylaFAX's for one modem."""

    def __init__(self, place: Path, device: Path, settings: str) -> None:
        """`settings` is the prototype: class1, class2, class2.0, iaxmodem."""
        self.place = place
        self._device = os.path.relpath(device, "/dev")
        self.device_id = self._device.replace("/", "_")
        for name in (
            *("etc", "info", "sendq", "docq", "doneq", "log", "status", "client", "tmp", "bin"),
            *("config", "dev", "archive", "recvq", "pollq", "lock"),
        ):
            (place / name).mkdir(parents=True, exist_ok=True)
        prototype = programs() / "var/spool/hylafax/config" / settings
        own = {
            "CountryCode": "86", "AreaCode": "571", "FAXNumber": "+86.571.7001",
            "LongDistancePrefix": "0", "InternationalPrefix": "00",
            "DialStringRules": "etc/dialrules", "ServerTracing": "0xFFF",
            "SessionTracing": "0xFFF", "UUCPLockDir": str(place / "lock"),
            "LocalIdentifier": "7001",
            "TagLineFormat": '""', "ModemFlowControl": "none", "ModemRate": "19200",
            "RingsBeforeAnswer": "1", "RecvFileMode": "0644",
        }  # fmt: skip
        taken = [
            line
            for line in prototype.read_text(encoding="utf-8", errors="replace").splitlines()
            if line and not line.startswith("#") and line.split(":")[0].strip() not in own
        ]
        lines = [f"{name}: {value}" for name, value in own.items()] + taken
        (place / "etc" / f"config.{self.device_id}").write_text("\n".join(lines) + "\n")
        (place / "etc" / "config").write_text("LogFacility: daemon\n")
        (place / "etc" / "setup.cache").write_text("")
        rules = next((programs() / "var/spool/hylafax").glob("**/dialrules"), None) or next(
            programs().glob("**/dialrules")
        )
        shutil.copy(rules, place / "etc" / "dialrules")
        for fifo in ("FIFO", f"FIFO.{self.device_id}"):
            if not (place / fifo).exists():
                os.mkfifo(place / fifo, 0o600)
        user = pwd.getpwnam(HYLAFAX_USER)
        for path in (place, *place.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        os.chmod(device, 0o666)

    @property
    def _environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(programs() / "usr/lib/hylafax")}

    async def send(self, page: Page, number: str) -> Ran:
        """faxsend, the program that makes the call; `delivered` tells of its own verdict."""
        document = self.place / "docq" / "doc1.tif"
        # libtiff codes 1 as black, and the strip is sent as it is: so black must be 1.
        black = Image.frombytes("1", (page.width, page.height), page.rows)
        black.save(
            document, "TIFF", compression="group4", tiffinfo={266: 2}, strip_size=1 << 24,
            dpi=FINE_DPI,
        )  # fmt: skip
        now = int(time.time())
        job = {"tts": now, "killtime": now + 3600, "external": number, "number": number, **_JOB}
        queue = self.place / "sendq" / "q1"
        text = "".join(f"{name}:{value}\n" for name, value in job.items())
        queue.write_text(text + "fax:0::docq/doc1.tif\n")
        user = pwd.getpwnam(HYLAFAX_USER)
        for path in (document, queue):
            os.chown(path, user.pw_uid, user.pw_gid)
        program = programs() / "usr/lib/hylafax/bin/faxsend"
        command = [str(program), "-m", self.device_id, "sendq/q1"]
        return await run(command, self.place, **self._environment)

    @property
    def delivered(self) -> bool:
        """What the job says of the last sending: `returned` 2 is done."""
        return "returned:2" in (self.place / "sendq" / "q1").read_text().split()

    async def getty(self) -> asyncio.subprocess.Process:
        """faxgetty, which answers the modem's calls and puts pages into `recvq`."""
        program = programs() / "usr/sbin/faxgetty"
        command = ["env", f"LD_LIBRARY_PATH={programs() / 'usr/lib/hylafax'}", str(program)]
        return await launch([*command, "-q", str(self.place), self._device], self.place)

    def received(self) -> list[Path]:
        """Documents that are complete."""
        return sorted((self.place / "recvq").glob("fax*.tif"))

    def log(self) -> str:
        """Its session logs, for people."""
        files = sorted((self.place / "log").glob("c*"))
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files)


async def end_getty(process: asyncio.subprocess.Process) -> None:
    """End faxgetty."""
    await end(process)
