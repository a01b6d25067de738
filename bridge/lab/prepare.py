"""`python -m bridge.lab.prepare`: have everything on this machine that laboratory and tests use."""

from __future__ import annotations

import platform
import socket
import sys
from typing import Final

from bridge.lab.hostname import host_name_trouble
from bridge.lab.packages import ensure_programs, find_program
from bridge.lab.progress import SetupError, say
from bridge.lab.root import AsteriskRoot
from bridge.lab.rootbuild import ensure_root, missing_programs
from bridge.lab.sounds import PROGRAMS

UNIT_PROGRAMS: Final = {"systemd-analyze": "systemd"}
"""Judge the units of systemd/ in the tests; nothing is started with them."""
FAULT_PROGRAMS: Final = {"gcc": "gcc", "/usr/include/stdio.h": "libc6-dev"}
"""Build the library with which the fault tests step clocks and fill disks."""

PAPER_FILES: Final = {"/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc": "fonts-wqy-zenhei"}
"""The typeface of order sheets and other papers."""

FAX_PROGRAMS: Final = {
    f"/usr/lib/{platform.machine()}-linux-gnu/libspandsp.so.2": "libspandsp2",
}
"""Fax machine and modem of the tests without real time."""
SOFT_MODEM: Final = {"iaxmodem": "iaxmodem"}
"""The modem of faxes in real time."""
SOFT_MODEM_DEBIAN: Final = "12"
"""The last Debian that has it. On a newer one it is used where somebody has put it."""

MAIL_PROGRAMS: Final = {"dovecot": "dovecot-imapd"}
"""Plays the mailbox that units answer to; started by the tests, without any right."""

HARDWARE_PROGRAMS: Final = {
    "gammu": "gammu",
    "multimon-ng": "multimon-ng",
    "gensiot": "gensio-bin",
    "ser2net": "ser2net",
    "/usr/lib/python3/dist-packages/gensio.py": "python3-gensio",
}
"""Programs that judge the radio drivers and their emulators from outside."""


def prepare() -> AsteriskRoot:
    """Install what is missing, showing progress. Raises SetupError naming the mend."""
    modem = SOFT_MODEM if _debian() == SOFT_MODEM_DEBIAN else {}
    tests = UNIT_PROGRAMS | FAULT_PROGRAMS | FAX_PROGRAMS | MAIL_PROGRAMS | HARDWARE_PROGRAMS
    ensure_programs(PROGRAMS | PAPER_FILES | tests | modem | missing_programs())
    if find_program("iaxmodem") is None:
        say(
            "没有 iaxmodem(仅 Debian 12 提供),不演示、不实测传真",
            "no iaxmodem, which Debian 12 alone has: no fax is shown or tested in real time",
        )
    root = ensure_root()
    trouble = host_name_trouble(socket.gethostname())
    if trouble is not None:
        say("主机名解析缓慢", trouble)
    return root


def _debian() -> str:
    """The release of this machine; empty where it does not say."""
    try:
        return platform.freedesktop_os_release().get("VERSION_ID", "")
    except OSError:
        return ""


def main() -> int:
    """Exit status 0 when all is there, 1 with the mend on standard error."""
    try:
        root = prepare()
    except SetupError as trouble:
        print(f"bridge110: {trouble}", file=sys.stderr)
        return 1
    say(f"Asterisk {root.version} 可用", f"Asterisk {root.version} is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
