"""TLS towards Asterisk: always verified (guard.md S1)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any


def tls_context(tls: bool, ca_file: Path | None) -> ssl.SSLContext | None:
    """Verifying context, None without TLS. Raises ValueError for a `ca_file` of no use."""
    if not tls:
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError among them
        raise ValueError(f"ami.ca_file {ca_file}: {error}; give a PEM file of the CA") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_options(context: ssl.SSLContext | None, name: str) -> dict[str, Any]:
    """Options of `create_connection`; `name` must stand in the certificate."""
    return {} if context is None else {"ssl": context, "server_hostname": name}
