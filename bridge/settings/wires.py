"""Settings of papers, mail and the links to other platforms. All of them may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.settings.parts import Host, Line, Number, Part, Port, SecretFile, Span

StatusSays = Literal["sign", "arrived", "result", "progress", "dispute", "in-hand"]
Encryption = Literal["tls", "starttls", "none"]
Address = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?$"),
]
Url = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:_-]+(?:/[A-Za-z0-9._~/-]*)?$")]


class Documents(Part):
    """Papers: a locality's own templates and typeface."""

    templates: Path | None = Field(default=None, strict=False)
    font: Path | None = Field(default=None, strict=False)


class Mailbox(Part):
    """Where units' replies arrive (IMAP)."""

    host: Host
    port: Port
    encryption: Encryption
    username: Line
    secret_file: SecretFile
    folder: Line = "INBOX"
    poll_s: int = Field(ge=5, le=3600)


class Mail(Part):
    """The site's own mail server (SMTP)."""

    host: Host
    port: Port
    encryption: Encryption
    sender: Address
    link_key_file: SecretFile
    """Signs links and Message-IDs; at least 32 characters."""
    username: Line | None = None
    secret_file: SecretFile | None = None
    ca_file: Path | None = Field(default=None, strict=False)
    replies: Mailbox | None = None


class PortsSettings(Part):
    """The port process, which owns radios and modems. What its status numbers mean is said by
    fleets: `tetra_status` maps numbers to sign, arrived, result, progress, dispute, in-hand."""

    socket: Path = Field(strict=False)
    tetra_status: Mapping[Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{4}$")], StatusSays] = {}
    map27_status: Mapping[Annotated[str, Field(pattern=r"^[0-9]{1,2}$")], StatusSays] = {}


class FaxTrunk(Part):
    """Faxes over the lines of the switch (`dialplans/fax.conf`) in place of modems."""

    endpoint: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """The PJSIP endpoint of the fax lines."""
    spool: Path = Field(strict=False)
    """`fax` in Asterisk's spool directory; both write there."""
    lines: int = Field(ge=1, le=60)


class Fax(Part):
    """Orders by fax; the modems are gateways of the port process."""

    inbox: Path = Field(strict=False)
    """Where received pages are kept, and in `sent` below it a copy of each sheet that went out."""
    hours: Span | None = None
    """When faxes go out that are neither urgent nor green; None: at any hour (YJ-43)."""
    trunk: FaxTrunk | None = None
    """None: over the modems of the port process."""


class Alias(Part):
    """An old hotline number that is now this desk's (LY-13)."""

    number: Number
    since: date
    until: date | None = None


class Platform(Part):
    """The data link to another desk's platform; its key in the file is the desk's (LY-02)."""

    url: Url
    """Where we send; the peer names us in the last part of the path."""
    key_file: SecretFile
    """Signs what we send; also accepted from the peer. At least 32 characters."""
    next_key_file: SecretFile | None = None
    """While the key is changed: accepted too."""
    ca_file: Path | None = Field(default=None, strict=False)
    aliases: tuple[Alias, ...] = Field(default=(), strict=False)


Platforms = Mapping[Number, Platform]
