"""A process of a test ends with the one that started it, however that ended; where figures are
wanted it goes before other programs of the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""prctl(2)."""


def die_with_parent() -> None:
    """From now on the kernel kills this process when its parent has gone."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


AHEAD: Final = 10
"""Niceness by which a program goes before others, where the system allows it."""
AHEAD_VARIABLE: Final = "FAULTS_AHEAD"
"""Set for programs that shall do the same, since each session is weighed for itself."""


def go_ahead() -> None:
    """This process, its session (sched(7), autogroup) and what it starts."""
    os.environ[AHEAD_VARIABLE] = "1"
    with contextlib.suppress(OSError):
        if os.nice(0) > -AHEAD:
            os.nice(-AHEAD)
        Path("/proc/self/autogroup").write_text(f"-{AHEAD}")
