"""Whether this machine's own name is looked up quickly: Asterisk waits for it before ringing."""

from __future__ import annotations

import subprocess
import time


def host_name_trouble(name: str, limit_s: float = 1.0) -> str | None:
    """What is wrong with the look-up of this machine's own name, with the mend; None when well.

    Asterisk asks for it at each RTP stream without a fixed address, and waits up to 40 s for a
    silent name server (`asterisk-three-way.md`, section 6).
    """
    begun = time.monotonic()
    try:
        subprocess.run(
            ["getent", "hosts", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        waited = time.monotonic() - begun
        return (
            f"host name {name!r} is not answered within {waited:.1f} s: "
            f"add the line '127.0.1.1 {name}' to /etc/hosts"
        )
    return None
