"""Waiting for a change of the modem lines of a local port (TIOCMIWAIT, ioctl_tty(2)).

The wait blocks, so it has a thread of its own, and holds the port open, so it is ended by a signal
before the port is closed. A pseudo-terminal has no such wait, and some drivers promise it and tell
nothing: whoever waits here looks now and then as well.
"""

from __future__ import annotations

import fcntl
import signal
import termios
import threading
from collections.abc import Callable
from typing import Final

TIOCMIWAIT: Final = 0x545C
"""Linux, asm-generic/ioctls.h; the termios module does not name it."""
INPUTS: Final = termios.TIOCM_CTS | termios.TIOCM_DSR | termios.TIOCM_RI | termios.TIOCM_CD
ENDS: Final = signal.SIGURG
"""Ignored unless somebody asks for it; a handler that does nothing makes it end a system call."""
AGAIN_S: Final = 0.01
"""A signal that came just before the system call did not end it: it is sent again after this."""


class ModemWait:
    """Calls `changed` in its own thread whenever CTS, DSR, RI or DCD of `fd` has changed."""

    def __init__(self, fd: int, changed: Callable[[], None]) -> None:
        self._fd = fd
        self._changed = changed
        self._over = False
        self._thread = threading.Thread(target=self._wait, name="modem-wait", daemon=True)

    @property
    def waits(self) -> bool:
        """False: this port cannot wait, or it is over."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, from the main thread; elsewhere no signal can be asked for, and nothing waits."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(ENDS) in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(ENDS, lambda _number, _frame: None)
        self._thread.start()

    def end(self) -> None:
        """End the wait; the port may be closed afterwards. Blocks for a moment."""
        self._over = True
        while self._thread.ident is not None and self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, ENDS)
            self._thread.join(AGAIN_S)

    def _wait(self) -> None:
        while not self._over:
            try:
                fcntl.ioctl(self._fd, TIOCMIWAIT, INPUTS)
            except InterruptedError:
                continue
            except OSError:  # no such wait (EINVAL, ENOTTY, ENOIOCTLCMD), or the port is gone (EIO)
                return
            if not self._over:
                self._changed()
