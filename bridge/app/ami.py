"""Where Asterisk's AMI is, and as whom: of the settings, for daemon and stand-by."""

from __future__ import annotations

from bridge.asterisk.link_state import AmiSettings
from bridge.settings.model import Settings


def ami_settings(settings: Settings) -> AmiSettings:
    """Raises SettingsError where the secret cannot be read."""
    ami = settings.ami
    return AmiSettings(
        host=ami.host,
        port=ami.port,
        username=ami.username,
        secret=ami.secret(),
        tls=ami.tls,
        ca_file=ami.ca_file,
        server_hostname=ami.server_hostname,
    )
