"""What is particular to a modem, as data: one TOML file a model in `models/`.

A new modem is a new file. An unknown key or a wrong type is refused with the file's name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

MODELS: Final = Path(__file__).parent / "models"


class ModelError(ValueError):
    """The file of a model is wrong; the message names it and the key."""


@dataclass(frozen=True, slots=True)
class Model:
    """Settings of one modem model; the values here are those of the standards."""

    name: str = "standard"
    match: tuple[str, ...] = ()
    """Words in the modem's answers to ATI3, +FMFR? or +FMI? that tell this model, in lower case."""
    init: tuple[str, ...] = ("ATE0V1Q0", "ATX4", "ATS0=0")
    """Commands after a reset, before `+FCLASS`. An ERROR to one of them is noted, no more."""
    after_class: tuple[str, ...] = ()
    """Commands after `+FCLASS`, which resets flow control on some firmware."""
    command_delay_s: float = 0.0
    """Rest between a result code and the next command: some firmware loses what comes at once."""
    answer_seconds: float = 60.0
    """S7: from the end of dialling to the answer."""
    pause: str = "AT+FTS=8"
    """Silence between V.21 and a fast carrier, 75 ± 20 ms (T.30, 5.3.2.2)."""
    pause_before_v21: str = "AT+FTS=8"
    """The same before V.21 after something fast was sent or received."""
    before_frm: str = ""
    """Command between DCS and +FRM where the modem says OK before the far carrier has stopped."""
    fcs_octets: int = 2
    """Octets of the check sequence that received frames end with."""
    first_octet_delay_s: float = 0.0
    """Rest between CONNECT of +FTM and the data, where the modem does not hold data back."""
    ahead_s: float = 1.0
    """Seconds of data the modem may hold: not to starve, and to stop soon after an abort."""
    rates: tuple[int, ...] = (145, 121, 96, 72, 48, 24)
    """Modulation numbers the modem really manages, of those its +FTM=? promises."""
    flow: str = "rtscts"
    """`rtscts`, `xonxoff`, or `none` for a pty that blocks."""
    xon_wait_s: float = 2.0
    """Class 2: how long to wait for XON after CONNECT of +FDT, which much firmware forgets."""
    receive_trigger: int = 0x11
    """Class 2: what starts the delivery of a page, DC1 or DC2."""
    reversed_receive: bool = False
    """Class 2: received octets come most significant bit first, whatever +FBOR says."""


def read_model(file: Path) -> Model:
    """The model of one file. Raises ModelError, or OSError when it cannot be read."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ModelError(f"{file}: {wrong}") from wrong
    standard = Model()
    values: dict[str, Any] = {}
    known = {field.name for field in fields(Model)}
    for key, value in table.items():
        if key not in known:
            raise ModelError(f"{file}: 未知的键 / unknown key {key!r}; known: {sorted(known)}")
        usual = getattr(standard, key)
        given = tuple(value) if isinstance(value, list) else value
        given = float(given) if isinstance(usual, float) and type(given) is int else given
        if type(given) is not type(usual):
            raise ModelError(f"{file}: {key} = {value!r} 类型不对 / of the wrong type")
        values[key] = given
    return Model(**values)


def all_models() -> dict[str, Model]:
    """Every model by its name. Raises ModelError."""
    return {model.name: model for model in map(read_model, sorted(MODELS.glob("*.toml")))}


def model_of(answers: str) -> Model:
    """The model whose words are in the modem's answers about itself; else the standard one."""
    text = answers.lower()
    for model in all_models().values():
        if any(word in text for word in model.match):
            return model
    return Model()
