"""Which gateways a site has: one TOML file, read the same by the port process and the commands.

    [radio-1]
    driver = "tetra-pei"            # tetra-pei, map27, sms, line-keyed, hytera, fax
    model = "tetra-standard"        # a file of hardware/radio/models, or a path to a site's own
    port = "/dev/radio-1"           # by-id, by-path, our udev name, rfc2217://…, socket://…

    [fax]
    driver = "fax"
    port = "/dev/fax-1"             # the first line
    more = ["/dev/fax-2"]           # further lines of the same desk
    identity = "+86571110"          # what the lines call themselves
    answers = true                  # whether they take calls

`config/gateways.toml` explains every key. `order_status` of a MAP27 gateway is the agreed number
for "an order waits, call in": sent in place of a text that the network cannot carry. An unknown key
or model is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import random
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from hardware.fax.gateway import FaxGateway, nothing_kept
from hardware.fax.t30_frames import encode_identity
from hardware.port import Port, PortSettings, open_port
from hardware.radio.dialect import DialectError, Map27Dialect, PeiDialect, load
from hardware.radio.events import Emit, Health
from hardware.radio.hytera_gateway import HyteraGateway
from hardware.radio.keying import KeyingTimes
from hardware.radio.line_keyed import LineKeyed, LinesError, Wiring
from hardware.radio.map27 import Map27
from hardware.radio.outstanding import Known, Outstanding
from hardware.radio.sms import SmsModem
from hardware.radio.tetra_pei import TetraPei
from hardware.trace import Trace

T = TypeVar("T")
DRIVERS: Final = ("tetra-pei", "map27", "sms", "line-keyed", "hytera", "fax")
_MODELS: Final = {"tetra-pei": "tetra-standard", "map27": "map27-standard"}
_PORT_KEYS: Final = ("rate", "bits", "parity", "stop", "rtscts", "xonxoff", "rts", "dtr", "backend")
_LINE_VALUES: Final[Mapping[str, tuple[object, ...]]] = {
    "rate": (9600,),
    "bits": (8, 7),
    "parity": ("N", "E", "O"),
    "stop": (1, 2),
    "backend": ("pyserial", "serialx"),
    **dict.fromkeys(("rtscts", "xonxoff", "rts", "dtr"), (True, False)),
}
_SECONDS: Final = {"lead_in_s": (0.0, 5.0), "tail_s": (0.0, 2.0), "time_out_s": (0.5, 180.0)}
"""Bounds of times; a transmitter is legally off after 180 s (sheet, 1.1). Others: 0–600 s."""
_TIMES: Final = tuple(field.name for field in dataclasses.fields(KeyingTimes))


class GatewayError(ValueError):
    """The file of gateways cannot be used; the text names file, gateway and mend."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One entry. `options` are the keys of its driver alone."""

    name: str
    driver: str
    model: str
    port: PortSettings
    options: Mapping[str, Any]


class MessageDriver(Protocol):
    """A driver that carries texts: TETRA, MAP27, SMS, Hytera."""

    health: Health
    book: Outstanding

    async def run(self, stop: Any) -> None: ...

    def send_text(self, key: str, address: str, text: str, *, urgent: bool = False) -> None: ...

    def withdraw(self, key: str) -> bool: ...

    def acknowledge(self, token: str, *, consumed: bool = False) -> None: ...

    def known(self, key: str) -> Known | None: ...


def read_gateways(path: Path) -> list[Gateway]:
    """The gateways of a file. Raises GatewayError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GatewayError(f"{path}: {error}") from error
    return [_gateway(path, name, entry) for name, entry in values.items()]


def _gateway(path: Path, name: str, entry: object) -> Gateway:
    where = f"{path}: [{name}]"
    if not isinstance(entry, dict) or not name.isprintable():
        raise GatewayError(f"{where}: 需要表 / must be a table")
    given = dict(cast(dict[str, Any], entry))
    driver = given.pop("driver", None)
    if driver not in DRIVERS:
        raise GatewayError(f"{where}: driver = {driver!r}, one of {', '.join(DRIVERS)}")
    model = given.pop("model", _MODELS.get(driver, ""))
    port = given.pop("port", None)
    if not isinstance(port, str) or not isinstance(model, str):
        raise GatewayError(f"{where}: 需要 port / port is needed")
    line = {key: given.pop(key) for key in _PORT_KEYS if key in given}
    allowed: tuple[str, ...] = {
        "line-keyed": ("ptt", "squelch", "interlock", *_TIMES),
        "hytera": ("own", "work_orders"),
        "map27": ("order_status",),
        "fax": ("identity", "more", "answers"),
    }.get(driver, ())
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        known = ", ".join(("driver", "model", "port", *_PORT_KEYS, *allowed))
        raise GatewayError(
            f"{where}: 未知键 {unknown[0]!r},请删去 / unknown key; remove it, or use one of: "
            f"{known}"
        )
    _check_line(cast(Mapping[str, object], line), where)
    if driver in _MODELS and "rate" not in line:
        line["rate"] = dialect_of(driver, model, where).rate
    if driver == "fax":
        line.setdefault("rate", 115200)
        line.setdefault("rtscts", True)
    try:
        settings = PortSettings(name=port, **line)
    except TypeError as error:
        raise GatewayError(f"{where}: {error}") from error
    gateway = Gateway(name, driver, model, settings, given)
    _check(gateway, where)
    return gateway


def _check_line(line: Mapping[str, object], where: str) -> None:
    """What the keys of a serial line may be."""
    for key, value in line.items():
        right = _LINE_VALUES[key]
        good = type(value) is int and 50 <= value <= 4_000_000 if key == "rate" else value in right
        if not good or (isinstance(value, bool) is not isinstance(right[0], bool)):
            words = "50–4000000" if key == "rate" else ", ".join(map(repr, right))
            raise GatewayError(f"{where}: {key} = {value!r},应为 / must be one of {words}")


def _check_times(options: Mapping[str, object], where: str) -> None:
    """Seconds of a line-keyed gateway."""
    for key in _TIMES:
        value = options.get(key, 1.0)
        low, high = _SECONDS.get(key, (0.0, 600.0))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise GatewayError(f"{where}: {key} = {value!r},应为秒数 / must be seconds, like 0.3")
        if not low <= value <= high:
            raise GatewayError(f"{where}: {key} = {value}: {low:g}–{high:g} s")


def _check(gateway: Gateway, where: str) -> None:
    options = gateway.options
    if gateway.driver == "line-keyed":
        _check_times(options, where)
        if not isinstance(options.get("interlock", False), bool):
            raise GatewayError(f"{where}: interlock = true | false")
        try:
            wiring = Wiring(str(options.get("ptt", "RTS")), str(options.get("squelch", "")))
        except LinesError as error:
            raise GatewayError(f"{where}: {error}") from error
        local = not gateway.port.name.startswith(("rfc2217://", "hidraw:"))
        if local and not wiring.two_lines and not options.get("interlock", False):
            raise GatewayError(
                f"{where}: 打开串口时内核会瞬间抬起控制线 / the kernel pulses a line when it opens "
                'a local port: wire ptt = "RTS!DTR", or fit an interlock and say interlock = true'
            )
    status = options.get("order_status", 0)
    if not isinstance(status, int) or not 0 <= status <= 31:
        raise GatewayError(f"{where}: order_status 0–31")
    if gateway.driver == "fax":
        _check_fax(options, where)
    if gateway.driver == "hytera" and not isinstance(options.get("own"), int):
        raise GatewayError(f"{where}: 需要 own（本机电台号） / own, our radio number, is needed")


def _check_fax(options: Mapping[str, Any], where: str) -> None:
    more = options.get("more", [])
    if not isinstance(more, list) or not all(isinstance(name, str) for name in more):
        raise GatewayError(f"{where}: more 是其他线路的设备名 / names of further lines' devices")
    if not isinstance(options.get("answers", True), bool):
        raise GatewayError(f"{where}: answers = true | false")
    try:
        encode_identity(str(options.get("identity", "")))
    except ValueError as wrong:
        raise GatewayError(f"{where}: identity: {wrong}") from wrong


def dialect_of(driver: str, model: str, where: str = "") -> PeiDialect | Map27Dialect:
    """The dialect of a model name or of a site's own file. Raises GatewayError."""
    kind: type[PeiDialect] | type[Map27Dialect]
    kind = PeiDialect if driver == "tetra-pei" else Map27Dialect
    try:
        text = Path(model).read_text(encoding="utf-8") if model.startswith("/") else None
        return load(model, kind, text)
    except (DialectError, OSError) as error:
        raise GatewayError(f"{where}: {error}") from error


def build(
    gateway: Gateway,
    *,
    emit: Emit,
    rng: random.Random,
    trace: Trace | None = None,
    opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    synced: Callable[[], Awaitable[None]] = nothing_kept,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    spool: Path | None = None,
) -> MessageDriver | LineKeyed:
    """The driver of a gateway; its `run` owns the port. `synced` returns when everything that was
    emitted is durable; `spool` is where received pages of fax are kept until then."""
    if gateway.driver == "hytera":
        parts = urlsplit(gateway.port.name)
        if parts.scheme != "udp" or not parts.hostname or not parts.port:
            raise GatewayError(f"[{gateway.name}]: port = udp://host:3004")
        own, orders = gateway.options["own"], bool(gateway.options.get("work_orders", False))
        return HyteraGateway(
            parts.hostname, parts.port, own, emit=emit, rng=rng, work_orders=orders
        )
    if gateway.driver == "sms":
        return SmsModem(gateway.port, emit=emit, rng=rng, trace=trace, opener=opener)
    if gateway.driver == "fax":
        names = (gateway.port.name, *gateway.options.get("more", ()))
        return FaxGateway(
            [dataclasses.replace(gateway.port, name=name) for name in names],
            str(gateway.options.get("identity", "")),
            answers=bool(gateway.options.get("answers", True)),
            emit=emit,
            rng=rng,
            synced=synced,
            now=now,
            spool=spool,
        )
    if gateway.driver == "line-keyed":
        options = dict(gateway.options)
        options.pop("interlock", None)
        wiring = Wiring(options.pop("ptt", "RTS"), options.pop("squelch", ""))
        times = KeyingTimes(**{key: float(value) for key, value in options.items()})
        return LineKeyed(
            gateway.port, wiring, times, emit=emit, rng=rng, trace=trace, opener=opener
        )
    dialect = dialect_of(gateway.driver, gateway.model)
    if isinstance(dialect, PeiDialect):
        return TetraPei(gateway.port, dialect, emit=emit, rng=rng, trace=trace, opener=opener)
    return Map27(gateway.port, dialect, emit=emit, rng=rng, trace=trace, opener=opener)


def carries(driver: str, channel: str, address: str) -> bool:
    """Whether a gateway of this driver is the way to `address` on a channel (radio, sms, fax)."""
    if channel in ("sms", "fax"):
        return driver == channel
    if channel != "radio":
        return False
    if "/" in address:
        return driver == "map27"
    return driver in ("tetra-pei", "hytera")
