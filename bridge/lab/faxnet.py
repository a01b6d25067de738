"""The telephone network of the laboratory's fax modems: soft modems (iaxmodem) on an Asterisk of
their own, with fax machines (res_fax_spandsp) at the other end.

It is apart from the bridge's Asterisk, as fax lines are in the field. Everything is below one
directory and on 127.0.0.1; it ends with the process that started it.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.lab.child import end, free_port, launch
from bridge.lab.packages import find_program
from bridge.lab.ports import HOST
from bridge.lab.progress import SetupError
from bridge.lab.root import AsteriskRoot
from bridge.lab.site import LabSite, asterisk_conf

BOOT_SECONDS: Final = 20.0
MACHINE: Final = "800"
"""Dials a fax machine that receives with ECM; 801 one without."""
NO_ECM: Final = "801"
BUSY: Final = "802"
SILENT: Final = "803"
"""Answers and says nothing, like a person who waits."""
PLAIN: Final = "804"
"""A fax machine with ECM that does not say who it is: the shortest call there is."""
SOUND: Final = "805"
"""Like 800, but never over T.38; so are 8050 to 8059."""
RINGS: Final = "806"
"""Rings, and nobody answers."""
PERSON: Final = "807"
"""Answers, hears the calling tone and hangs up."""
FIRST: Final = ("nice", "-n", "-15")
"""Soft modems and their exchange come first: hardware modems have processors of their own. Without
the right to it, they run like everybody."""
FAX_IDENTITY: Final = "057188888888"
SENT: Final = "machine sent:"
"""Before what a fax machine says of its own call, in the log of its exchange."""
_MODULES: Final = (
    *("res_timing_timerfd", "codec_ulaw", "codec_alaw", "codec_resample", "format_wav"),
    *("chan_iax2", "res_crypto", "res_fax", "res_fax_spandsp", "app_dial", "app_verbose"),
    *("app_exec", "res_clioriginate", "func_channel", "func_logic", "func_strings"),
    *("func_callerid", "bridge_simple", "pbx_config", "app_playtones"),
)
_SIP_MODULES: Final = (
    *("res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_pjproject"),
    *("res_pjsip", "res_pjsip_session", "res_pjsip_endpoint_identifier_ip", "res_pjsip_sdp_rtp"),
    *("res_pjsip_outbound_authenticator_digest", "res_pjsip_caller_id", "res_rtp_asterisk"),
    *("res_pjsip_t38", "res_pjsip_pubsub", "res_pjsip_outbound_publish", "chan_pjsip"),
)
_PLAN: Final = f"""[general]
static = yes
[lines]
exten => {MACHINE},1,Answer()
 same => n,Set(FAXOPT(ecm)=yes)
 same => n,Set(FAXOPT(localstationid)={FAX_IDENTITY})
 same => n,ReceiveFAX(${{RECEIVED}}/${{CALLERID(num)}}-${{UNIQUEID}}.tif)
exten => {NO_ECM},1,Answer()
 same => n,Set(FAXOPT(ecm)=no)
 same => n,Set(FAXOPT(localstationid)={FAX_IDENTITY})
 same => n,ReceiveFAX(${{RECEIVED}}/${{CALLERID(num)}}-${{UNIQUEID}}.tif)
exten => {PLAIN},1,Answer()
 same => n,Set(FAXOPT(ecm)=yes)
 same => n,ReceiveFAX(${{RECEIVED}}/${{CALLERID(num)}}-${{UNIQUEID}}.tif)
exten => {SOUND},1,Answer()
 same => n,Set(FAXOPT(ecm)=yes)
 same => n,Set(FAXOPT(localstationid)={FAX_IDENTITY})
 same => n,ReceiveFAX(${{RECEIVED}}/${{CALLERID(num)}}-${{UNIQUEID}}.tif,F)
exten => _{SOUND}X,1,Goto({SOUND},1)
exten => {RINGS},1,Ringing()
 same => n,Wait(90)
exten => {PERSON},1,Answer()
 same => n,Wait(8)
 same => n,Hangup()
exten => {BUSY},1,Busy(5)
exten => {SILENT},1,Answer()
 same => n,Wait(90)
exten => _70XX,1,Dial(IAX2/${{EXTEN}},60)
[machine]
exten => send,1,Set(FAXOPT(ecm)=${{IF($["${{FAXECM}}"="no"]?no:yes)}})
 same => n,Set(FAXOPT(localstationid)={FAX_IDENTITY})
 same => n,SendFAX(${{FAXFILE}},f)
exten => h,1,Log(NOTICE,{SENT} ${{FAXSTATUS}} ${{FAXPAGES}})
[globals]
RECEIVED = {{received}}
"""


@dataclass(slots=True)
class FaxNetwork:
    """One Asterisk and its soft modems; the lines are numbers 7001 and up."""

    root: AsteriskRoot
    path: Path
    lines: tuple[str, ...] = ("7001", "7002")
    sip_port: int = 0
    """Where the exchange speaks SIP with the bridge's own Asterisk, 0 where it does not."""
    bridge: LabSite | None = None
    """The site at the other end of that."""
    _iax_port: int = 0
    _asterisk: asyncio.subprocess.Process | None = field(default=None, init=False)
    _modems: dict[str, asyncio.subprocess.Process] = field(default_factory=dict, init=False)
    _modem_ports: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def received(self) -> Path:
        """Where the fax machines put what they receive."""
        return self.path / "received"

    def device(self, line: str) -> Path:
        """The serial device of a line's modem."""
        return self.path / f"modem-{line}"

    async def start(self) -> None:
        """Start all of it. Raises SetupError when it does not come up in time."""
        self._iax_port = free_port()
        self._modem_ports = {line: free_port() for line in self.lines}
        self._configure()
        etc = self.path / "etc"
        command = self.root.command("asterisk", "-f", "-C", str(etc / "asterisk.conf"))
        (self.path / "asterisk").mkdir(exist_ok=True)
        self._asterisk = await launch([*FIRST, *command], self.path / "asterisk")
        if "fully booted" not in (await self.console("core waitfullybooted", BOOT_SECONDS)).lower():
            raise SetupError(f"{self.path}: the fax network's Asterisk does not boot")
        for line in self.lines:
            await self.start_modem(line)

    async def start_modem(self, line: str) -> None:
        """Start one soft modem, and wait for its device. Raises SetupError."""
        program = find_program("iaxmodem")
        if program is None:
            raise SetupError("iaxmodem: not on this machine")
        place = self.path / f"iaxmodem-{line}"
        place.mkdir(exist_ok=True)
        # The program reads /etc/iaxmodem/<name> alone: the name leads out of there.
        name = f"../..{self.path / 'etc' / f'modem-{line}'}"
        self._modems[line] = await launch([*FIRST, program, name], place)
        deadline = time.monotonic() + BOOT_SECONDS
        while not self.device(line).exists():
            if self._modems[line].returncode is not None or time.monotonic() > deadline:
                words = (place / "output").read_text(errors="replace")[-500:]
                raise SetupError(f"iaxmodem does not start:\n{words}")
            await asyncio.sleep(0.02)

    async def kill_modem(self, line: str) -> None:
        """End a soft modem as if it were unplugged."""
        await end(self._modems.pop(line))
        self.device(line).unlink(missing_ok=True)

    async def stop(self) -> None:
        """End all of it."""
        for process in self._modems.values():
            await end(process)
        self._modems.clear()
        if self._asterisk is not None:
            await end(self._asterisk)

    async def console(self, command: str, timeout: float = 10.0) -> str:
        """What Asterisk answers on its console, once it answers at all. Raises SetupError."""
        conf = str(self.path / "etc" / "asterisk.conf")
        deadline = time.monotonic() + timeout
        while True:
            asking = await asyncio.create_subprocess_exec(
                *self.root.command("asterisk", "-C", conf, "-rx", command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            answer, _ = await asking.communicate()
            text = answer.decode("utf-8", "replace")
            if "Unable to connect" not in text:
                return text
            if time.monotonic() > deadline:
                raise SetupError(f"fax network: no answer to {command!r}: {text}")
            await asyncio.sleep(0.05)

    async def send(self, line: str, document: Path, *, ecm: bool = True) -> None:
        """Let a fax machine call the line and send the TIFF. Other numbers than those of modems
        are the bridge's: `7120@bridge` on its fax lines, `7110@unit` as one of its units."""
        way = f"IAX2/{line}" if line in self.lines else f"PJSIP/{line}"
        await self.console(f"dialplan set global FAXFILE {document}")
        await self.console(f"dialplan set global FAXECM {'yes' if ecm else 'no'}")
        await self.console(f"channel originate {way} extension send@machine")

    def sent(self) -> list[str]:
        """What fax machines said of their own calls so far: status and confirmed pages."""
        log = (self.path / "log" / "messages").read_text(encoding="utf-8", errors="replace")
        return [line.partition(SENT)[2].strip() for line in log.splitlines() if SENT in line]

    def _sip(self) -> str:
        """The way to the bridge's Asterisk: as its fax lines, and as one of its units."""
        if self.bridge is None:
            return ""
        port, unit = self.bridge.ports.sip, self.bridge.units[-1]
        ours = f"type = aor\ncontact = sip:{HOST}:{port}\n"
        sound = (
            f"type = endpoint\ncontext = lines\ndisallow = all\nallow = alaw,ulaw\n"
            f"direct_media = no\nmedia_address = {HOST}\nbind_rtp_to_media_address = yes\n"
        )
        return (
            f"[transport-udp]\ntype = transport\nprotocol = udp\nbind = {HOST}:{self.sip_port}\n"
            f"[bridge]\n{sound}aors = bridge\nfrom_user = fax\n"
            f"t38_udptl = yes\nt38_udptl_ec = redundancy\nt38_udptl_maxdatagram = 400\n"
            f"t38_bind_udptl_to_media_address = yes\n"
            f"[bridge]\n{ours}[bridge]\ntype = identify\nendpoint = bridge\nmatch = {HOST}\n"
            f"[unit]\n{sound}aors = unit\nfrom_user = {unit}\noutbound_auth = unit\n"
            f"[unit]\n{ours}[unit]\ntype = auth\nauth_type = digest\nusername = {unit}\n"
            f"password = {self.bridge.sip_secret}\n"
        )

    def _configure(self) -> None:
        etc = self.path / "etc"
        for place in ("etc", "lib/keys", "cache", "run", "spool", "log", "received", "data"):
            (self.path / place).mkdir(parents=True, exist_ok=True)
        data = self.root.data_dir
        for source in data.glob("*"):
            link = self.path / "data" / source.name
            if not link.is_symlink():
                link.symlink_to(source)
        peers = "".join(
            f"[{line}]\ntype = friend\nhost = {HOST}\nport = {port}\ncontext = lines\n"
            f"requirecalltoken = no\ndisallow = all\nallow = ulaw\n"
            for line, port in self._modem_ports.items()
        )
        loaded = _MODULES + (_SIP_MODULES if self.bridge is not None else ())
        modules = "".join(f"load = {name}.so\n" for name in loaded)
        files = {
            "asterisk.conf": asterisk_conf(self.path, self.root.module_dir),
            "modules.conf": f"[modules]\nautoload = no\n{modules}",
            "extensions.conf": _PLAN.replace("{received}", str(self.received)),
            "iax.conf": f"[general]\nbindaddr = {HOST}:{self._iax_port}\n"
            f"jitterbuffer = no\nautokill = yes\n{peers}",
            "logger.conf": "[general]\n[logfiles]\nmessages => notice,warning,error,verbose\n",
            "res_fax.conf": "[general]\nmaxrate = 14400\nminrate = 2400\n",
            "manager.conf": "[general]\nenabled = no\n",
            "udptl.conf": "[general]\n",
            "pjsip.conf": self._sip(),
            "rtp.conf": "[general]\nrtpstart = 9000\nrtpend = 9400\n",
        }
        owner = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"
        for line, port in self._modem_ports.items():
            files[f"modem-{line}"] = (
                f"device {self.device(line)}\nowner {owner}\nmode 600\n"
                f"port {port}\nrefresh 0\nserver {HOST}:{self._iax_port}\npeername {line}\n"
                f"cidname fax\ncidnumber {line}\ncodec ulaw\nnodaemon\n"
            )
        for file, text in files.items():
            (etc / file).write_text(text, encoding="utf-8")
