"""An RFC 2217 client that is not ours: gensio's library, run by the system's Python.

Prints `modem N` for each change of modem lines it is told of, moves RTS up and down once.
"""

from __future__ import annotations

import sys

import gensio  # type: ignore[import-not-found]  # Debian python3-gensio, not in the project's venv


class Log:
    def gensio_log(self, level: str, words: str) -> None:
        print(level, words, file=sys.stderr)


class Events:
    def read_callback(self, io: object, err: object, data: bytes, aux: object) -> int:
        return len(data)

    def write_callback(self, io: object) -> None:
        """Nothing to write."""

    def modemstate(self, io: object, state: int) -> None:
        print("modem", state, flush=True)


class Done:
    def rts(self, io: object, err: object, value: int) -> None:
        print("rts", value, flush=True)


def main() -> None:
    selector = gensio.alloc_gensio_selector(Log())
    io = gensio.gensio(selector, f"telnet(rfc2217),tcp,127.0.0.1,{sys.argv[1]}", Events())
    io.open_s()
    io.read_cb_enable(True)
    waiter = gensio.waiter(selector)
    waiter.wait_timeout(1, 700)  # options are still being negotiated
    lines = io.cast_to_sergensio()
    lines.sg_modemstate(255)
    waiter.wait_timeout(1, 700)
    for level in (gensio.SERGENSIO_RTS_ON, gensio.SERGENSIO_RTS_OFF):
        lines.sg_rts(level, Done())
        waiter.wait_timeout(1, 700)


if __name__ == "__main__":
    main()
