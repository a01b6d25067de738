"""`restart.refused`: what desks meet while the service is restarted, on a booted systemd.

Twenty restarts by `systemctl restart`, eight clients asking all the time. A connection that was
taken and broke off is told beside it (`broken`), the longest wait of a desk is `worst`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.systemd.booted import booted, why_not
from tests.systemd.load import CLIENTS
from tests.systemd.test_booted import LOAD, PORT

RESTARTS = 20


def restart_refused() -> dict[str, Any]:
    """The line of the figure; its value is null where no systemd can be booted."""
    if reason := why_not():
        return _line(None, None, {"reason": reason}, "")
    with booted() as machine:
        version = machine.run("systemctl", "--version").stdout.split("\n")[0]
        load = subprocess.Popen(
            machine.host_python(str(LOAD), str(PORT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        began = time.monotonic()
        for _ in range(RESTARTS):
            machine.run("systemctl", "restart", "bridge110")
        took = time.monotonic() - began
        words, _ = load.communicate("")
    found = json.loads(words)
    told = {"clients": CLIENTS, "answered": found["answered"], "broken": found["broken"]}
    told["restart_s"] = round(took / RESTARTS, 2)
    return _line(found["refused"], found["slowest_s"], told, version)


def _line(
    value: int | None, worst: float | None, load: dict[str, Any], systemd: str
) -> dict[str, Any]:
    return {
        "name": "restart.refused",
        "value": value,
        "unit": "connections",
        "baseline": 0,
        "worst": worst,
        "n": RESTARTS,
        "load": {**load, "cores": os.cpu_count()},
        "versions": {
            "python": sys.version.split()[0],
            "systemd": systemd,
            "machine": platform.machine(),
        },
    }


BENCHES: dict[str, Callable[[], dict[str, Any]]] = {"restart.refused": restart_refused}
