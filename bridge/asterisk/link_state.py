"""What the AMI link can be told (settings) and what it tells (states, alarms, counters)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bridge.wire.ami import encode_action


class LinkState(Enum):
    """Where the link stands. `words` is what an operator reads."""

    DOWN = "down", "交换机连接已断开", "link to the switch is down"
    CONNECTING = "connecting", "正在连接交换机", "connecting to the switch"
    LOGGING_IN = "logging_in", "正在登录交换机", "signing in to the switch"
    UP = "up", "交换机连接正常", "link to the switch is up"
    STALLED = (
        "stalled",
        "交换机事件延迟，画面不是当前状态",
        "events are late: screens show the past",
    )
    BAD_SECRET = "bad_secret", "交换机拒绝登录口令", "the switch refuses our secret"
    BAD_CERTIFICATE = "bad_certificate", "交换机证书无效", "the switch's certificate is not valid"

    def __init__(self, key: str, zh: str, en: str) -> None:
        self.key = key
        self.words = f"{zh} / {en}"

    @property
    def usable(self) -> bool:
        """Whether actions are taken. A stalled link still carries them: hanging up must work."""
        return self in (LinkState.UP, LinkState.STALLED)


class LinkAlarm(Enum):
    """What a person must look at, or a flow must act upon."""

    BAD_SECRET = "bad_secret"  # noqa: S105
    BAD_CERTIFICATE = "bad_certificate"
    EVENT_LOSS = "event_loss"
    """A canary did not come back though a later one did: take a snapshot."""
    BACKLOG = "backlog"
    """More events waited than the bound: they were discarded and the link was dropped."""
    RIGHTS_MISSING = "rights_missing"
    """The account may not do what the link needs (canary, CoreStatus); the detail says what."""
    NOT_BOOTED = "not_booted"
    """No FullyBooted within its time: Asterisk still loads, or the account lacks read `system`."""
    OTHER_VERSION = "other_version"
    """Asterisk speaks another AMI than this link was tried with; it is used all the same."""
    HANDLER_FAILED = "handler_failed"
    """A callback raised; the event went to the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiSettings:
    """Account and limits of the AMI link. Times in seconds.

    Raises ValueError for plain text to another machine (guard.md S1), a user name or secret that
    cannot be written on a line (AmiInjectionError), and limits that contradict each other.
    """

    host: str = "127.0.0.1"
    port: int = 5038
    username: str
    secret: str = field(repr=False)
    tls: bool = False
    ca_file: Path | None = None
    """Own authority that signed Asterisk's certificate; None: those of the system."""
    server_hostname: str | None = None
    """Name in the certificate where it is not `host`."""

    connect_timeout: float = 3.0
    login_timeout: float = 5.0
    booted_timeout: float = 5.0
    action_timeout: float = 3.0
    ping_interval: float = 0.5
    ping_deadline: float = 1.5
    """With the interval: a dead peer is known after 2 s, 2.5 s where we were late ourselves."""
    canary_interval: float = 1.0
    lag_limit: float = 1.0
    """Above this the state is STALLED."""
    stall_limit: float = 10.0
    """Stalled for so long, the link is dropped: the past is thrown away, a snapshot taken."""
    retry_first: float = 0.1
    retry_max: float = 2.0
    retry_refused: float = 60.0
    """Between attempts with a refused secret or certificate: a person must act, nobody hammers."""

    max_pending: int = 256
    """Actions in flight, pings among them; above it an action is not sent."""
    max_backlog: int = 8192
    """Messages waiting for their callbacks; above it they are discarded and the link dropped."""
    max_items: int = 20_000
    """Items of one list answer."""

    def __post_init__(self) -> None:
        encode_action("Login", {"Username": self.username, "Secret": self.secret}, "check")
        if not self.tls and not _is_loopback(self.host):
            raise ValueError(
                f"ami.host {self.host} is another machine and ami.tls is off: the secret would "
                "cross the network in clear; set ami.tls = true (port 5039) or use 127.0.0.1"
            )
        if self.ping_interval + self.ping_deadline > 3.0:
            raise ValueError(
                "ami.ping_interval + ami.ping_deadline exceed 3 s, the time in which a dead link "
                "must be noticed: lower one of them"
            )


@dataclass(slots=True)
class LinkCounters:
    """What happened on the link since the start; only ever counts up."""

    sessions: int = 0
    events: int = 0
    answers: int = 0
    late_answers: int = 0
    handler_errors: int = 0
    discarded: int = 0
    canaries_sent: int = 0
    canaries_lost: int = 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
