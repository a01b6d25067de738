"""libspandsp through ctypes: its T.31 modem and its fax terminal, as independent judges.

Of its many functions, what the lock-step line uses. Nothing here runs by itself: samples are
pushed through by the caller, so a call takes no real time.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

BLOCK: Final = 160
"""Samples of 20 ms."""
Samples = ctypes.Array[ctypes.c_int16]

_AT_TX = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t
)
_CONTROL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_PHASE_E = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)

ALERTING, CONNECTED, ANSWERED, BUSY, NO_DIALTONE, NO_ANSWER, HANGUP = range(1, 8)
"""Events of a call (at_interpreter.h)."""
CONTROL_CALL, CONTROL_ANSWER, CONTROL_HANGUP, CONTROL_OFFHOOK = range(4)
CONTROL_CTS: Final = 7
V27TER, V29, V17 = 1, 2, 4
T4_1D, T4_2D, T6 = 2, 4, 8


def library() -> ctypes.CDLL:
    """The library, with the types of what is used. Raises OSError when it is not installed."""
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    for name in ("t31_init", "fax_init", "fax_get_t30_state", "t30_get_rx_ident", "awgn_init_dbm0"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.awgn.restype = ctypes.c_int16
    return lib


def block() -> Samples:
    """Silence of 20 ms."""
    return (ctypes.c_int16 * BLOCK)()


class Modem:
    """spandsp's Class 1 modem. What it says to the host is added up in `said`."""

    def __init__(self, lib: ctypes.CDLL, control: Callable[[int, str], None]) -> None:
        self._lib = lib
        self.said = bytearray()
        self.clear_to_send = True
        self._control = control
        self._callbacks = (_AT_TX(self._says), _CONTROL(self._controls))
        says, controls = self._callbacks
        self._state = ctypes.c_void_p(lib.t31_init(None, says, None, controls, None, None, None))
        lib.t31_set_transmit_on_idle(self._state, 1)

    def _says(self, _state: Any, _user: Any, data: Any, length: int) -> int:
        self.said += bytes(data[:length])
        return 0

    def _controls(self, _state: Any, _user: Any, operation: int, number: Any) -> int:
        if operation == CONTROL_CTS:
            self.clear_to_send = bool(number)
            return 0
        text = ctypes.string_at(number).decode() if operation == CONTROL_CALL and number else ""
        self._control(operation, text)
        return 0

    def hear(self, data: bytes) -> None:
        """Octets from the host."""
        self._lib.t31_at_rx(self._state, data, len(data))

    def event(self, event: int) -> None:
        """What the telephone network tells."""
        self._lib.t31_call_event(self._state, event)

    def listen(self, samples: Samples) -> None:
        """20 ms from the line."""
        self._lib.t31_rx(self._state, samples, BLOCK)

    def speak(self) -> Samples:
        """20 ms for the line."""
        samples = block()
        self._lib.t31_tx(self._state, samples, BLOCK)
        return samples

    def close(self) -> None:
        """Give the memory back."""
        self._lib.t31_free(self._state)


class Terminal:
    """spandsp's fax machine: sends `document`, or receives to `into`."""

    def __init__(
        self,
        lib: ctypes.CDLL,
        *,
        calling: bool,
        document: Path | None = None,
        into: Path | None = None,
        ecm: bool = True,
        modems: int = V27TER | V29 | V17,
        compressions: int = T4_1D | T4_2D | T6,
        identity: str = "057188888888",
        not_ready: int = 0,
    ) -> None:
        self._lib = lib
        self.result: int | None = None
        """Its own verdict when the session is over; 0 is success."""
        self._state = ctypes.c_void_p(lib.fax_init(None, 1 if calling else 0))
        t30 = self._t30 = ctypes.c_void_p(lib.fax_get_t30_state(self._state))
        self._done = _PHASE_E(self._ended)
        lib.t30_set_phase_e_handler(t30, self._done, None)
        lib.t30_set_tx_ident(t30, identity.encode())
        lib.t30_set_ecm_capability(t30, int(ecm))
        lib.t30_set_supported_modems(t30, modems)
        lib.t30_set_supported_compressions(t30, compressions)
        lib.t30_set_supported_resolutions(t30, 0x01 | 0x02 | 0x20000)
        lib.t30_set_supported_image_sizes(t30, 0x01 | 0x10000 | 0x20000)
        if not_ready:
            lib.t30_set_receiver_not_ready(t30, not_ready)
        if document is not None:
            lib.t30_set_tx_file(t30, str(document).encode(), -1, -1)
        if into is not None:
            lib.t30_set_rx_file(t30, str(into).encode(), -1)
        lib.fax_set_transmit_on_idle(self._state, 1)

    def _ended(self, _state: Any, _user: Any, result: int) -> None:
        self.result = result

    @property
    def far_id(self) -> str:
        """What the other station called itself."""
        text = ctypes.c_char_p(self._lib.t30_get_rx_ident(self._t30)).value
        return (text or b"").decode()

    def listen(self, samples: Samples) -> None:
        """20 ms from the line."""
        self._lib.fax_rx(self._state, samples, BLOCK)

    def speak(self) -> Samples:
        """20 ms for the line."""
        samples = block()
        self._lib.fax_tx(self._state, samples, BLOCK)
        return samples

    def hang_up(self) -> None:
        """The call is gone: its file is closed."""
        self._lib.t30_terminate(self._t30)

    def close(self) -> None:
        """Give the memory back."""
        self._lib.fax_free(self._state)


class Noise:
    """White noise of so many dBm0, the same for the same seed."""

    def __init__(self, lib: ctypes.CDLL, seed: int, level: float) -> None:
        self._lib = lib
        self._state = ctypes.c_void_p(lib.awgn_init_dbm0(None, seed, ctypes.c_float(level)))

    def add(self, samples: Samples) -> None:
        """Put noise on the samples, unless they are silence: a terminal that takes noise for a
        carrier waits for its end for ever."""
        if not any(samples):
            return
        for n in range(BLOCK):
            noisy = samples[n] + self._lib.awgn(self._state)
            samples[n] = max(-32768, min(32767, noisy))

    def close(self) -> None:
        """Give the memory back."""
        self._lib.awgn_free(self._state)
