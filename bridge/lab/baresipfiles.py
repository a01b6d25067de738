"""The files that baresip reads at its start (softphone-cti.md, section 13.3). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.lab.ports import HOST

Answer = Literal["manual", "auto"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who the telephone is. User and secret are letters and digits."""

    server: tuple[str, int]
    user: str
    secret: str
    answer: Answer = "manual"
    registers: bool = True

    def line(self) -> str:
        """Its line in baresip's `accounts`. Raises ValueError for what would break the line."""
        for text in (self.user, self.secret):
            if not (text.isascii() and text.isalnum()):
                raise ValueError(f"{text!r}: ASCII letters and digits only")
        host, port = self.server
        regint = 60 if self.registers else 0
        return (
            f"<sip:{self.user}@{host}:{port}>;auth_user={self.user};auth_pass={self.secret}"
            f";regint={regint};audio_codecs=pcma,pcmu;answermode={self.answer};sip_autoanswer=yes\n"
        )


def configuration(modules: Path, recordings: Path, sip: int, control: int, tone: int) -> str:
    """baresip's `config`. It hears into files (module sndfile) and says one tone (ausine)."""
    return f"""sip_listen {HOST}:{sip}
net_interface {HOST}
audio_source ausine,{tone}
ausrc_srate 48000
auplay_srate 48000
audio_player aubridge,sink
audio_alert aubridge,alert
sip_autoanswer_beep no
module_path {modules}
module g711.so
module ausine.so
module aubridge.so
module sndfile.so
snd_path {recordings}
module_app uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {HOST}:{control}
"""
