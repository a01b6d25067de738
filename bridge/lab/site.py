"""What the production configuration calls `site/*.conf`, for a laboratory. Pure.

`config/asterisk/README.md` says what each file must hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5
from pathlib import PurePath
from typing import Final

from bridge.lab.ports import HOST, LabPorts

REALM: Final = "asterisk"
"""Asterisk's default digest realm."""
HEADER: Final = "; made by the laboratory at each start\n"


@dataclass(frozen=True, slots=True)
class LabSite:
    """All that differs from one laboratory to the next. The secrets are letters and digits."""

    ports: LabPorts
    ami_secret: str
    sip_secret: str
    seats: tuple[str, ...] = (*(str(n) for n in range(8001, 8031)), "8099")
    """Thirty call-takers and the shift leader."""
    units: tuple[str, ...] = tuple(str(n) for n in range(6001, 6011))
    radios: tuple[str, ...] = ("radio1",)
    """Sound lines of voice gateways."""
    qualify_s: int = 20
    """Seconds between OPTIONS to each telephone, 0 for never (robots that cannot answer them)."""
    fax_port: int = 0
    """Where the exchange of the fax lines is (SIP), 0 where there are none."""

    def __post_init__(self) -> None:
        for name in (self.ami_secret, self.sip_secret, *self.seats, *self.units, *self.radios):
            if not (name.isascii() and name.isalnum()):
                raise ValueError("names and secrets of a laboratory are ASCII letters and digits")


def site_files(site: LabSite) -> dict[str, str]:
    """File name to text of every site file that a laboratory does not take from the example."""
    texts = {
        "manager_bind.conf": f"bindaddr = {HOST}\nport = {site.ports.ami}\n",
        "manager_account.conf": f"secret = {site.ami_secret}\n",
        "rtp.conf": f"rtpstart = {site.ports.rtp.start}\nrtpend = {site.ports.rtp.stop - 1}\n",
        "pjsip_transport.conf": _transport(site.ports.sip),
        "pjsip_trunk.conf": _trunk(site.ports.trunk)
        + _account("hotline", "peer", "from-hotline", "12345", site)
        + "".join(_account(unit, "peer", "from-unit", unit, site) for unit in site.units)
        + "".join(_account(radio, "radio", "from-radio", "0", site) for radio in site.radios)
        + (_fax_lines(site.fax_port) if site.fax_port else ""),
        "pjsip_seats.conf": "\n".join(
            _account(seat, "seat-sip", "from-seat", seat, site) for seat in site.seats
        ),
    }
    return {name: HEADER + text for name, text in texts.items()}


def globals_file(example: str, ports: LabPorts) -> str:
    """The example's values, and where this laboratory's daemon answers FastAGI."""
    return f"{HEADER}{example}\nAGI = agi://{HOST}:{ports.fastagi}\n"


def asterisk_conf(run: PurePath, modules: PurePath | None) -> str:
    """`asterisk.conf` of an Asterisk that keeps everything below `run`, and opens no shell."""
    directories = {
        "astetcdir": run / "etc",
        "astvarlibdir": run / "lib",
        "astdbdir": run / "lib",
        "astkeydir": run / "lib",
        "astdatadir": run / "data",
        "astagidir": run / "data" / "agi-bin",
        "astspooldir": run / "spool",
        "astrundir": run / "run",
        "astlogdir": run / "log",
        "astcachedir": run / "cache",
    }
    if modules is not None:
        directories["astmoddir"] = modules
    lines = [f"{name} => {place}" for name, place in directories.items()]
    options = ["live_dangerously = no", "disable_remote_console_shell = yes", "hideconnect = yes"]
    return "\n".join([HEADER + "[directories]", *lines, "[options]", *options, ""])


def _transport(port: int) -> str:
    return f"[transport-udp]\ntype = transport\nprotocol = udp\nbind = {HOST}:{port}\n"


def _media() -> str:
    """A fixed media address: no look-up of the host's name before the first ring."""
    return f"media_address = {HOST}\nbind_rtp_to_media_address = yes\n"


def _trunk(port: int) -> str:
    """Citizens: whoever calls from this machine without an account of ours."""
    return (
        f"[trunk](citizens)\naors = trunk\n{_media()}"
        f"[trunk]\ntype = aor\ncontact = sip:{HOST}:{port}\n"
        f"[trunk-by-address]\ntype = identify\nendpoint = trunk\nmatch = {HOST}\n"
    )


def _fax_lines(port: int) -> str:
    """Lines of another exchange on this machine, which names itself `fax`."""
    return (
        f"[fax](fax-lines)\naors = fax\n{_media()}t38_bind_udptl_to_media_address = yes\n"
        f"[fax]\ntype = aor\ncontact = sip:{HOST}:{port}\n"
    )


def _account(name: str, template: str, context: str, number: str, site: LabSite) -> str:
    """A telephone that registers as `name` with the laboratory's SIP secret."""
    digest = md5(f"{name}:{REALM}:{site.sip_secret}".encode(), usedforsecurity=False).hexdigest()
    return (
        f"[{name}]({template})\ncontext = {context}\naors = {name}\nauth = {name}\n"
        f"callerid = {number} <{number}>\n{_media()}"
        f"[{name}](seat-aor)\nqualify_frequency = {site.qualify_s}\n"
        f"[{name}](seat-auth)\nusername = {name}\npassword_digest = MD5:{digest}\n"
    )
