"""What baresip is given to read, and what is heard in the files it writes."""

from __future__ import annotations

import array
import wave
from math import pi, sin
from pathlib import Path

import pytest

from bridge.lab.baresipfiles import Account, configuration
from bridge.lab.wavear import longest, tones_in

SERVER = ("127.0.0.1", 5160)


def write_wav(file: Path, parts: list[dict[int, float]], rate: int = 8000) -> None:
    """Half a second a part: frequency to peak."""
    samples = array.array("h")
    for part in parts:
        for n in range(rate // 2):
            value = sum(peak * sin(2 * pi * f * n / rate) for f, peak in part.items())
            samples.append(round(value))
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(samples.tobytes())


def test_a_seat_registers_with_its_secret_and_a_citizen_does_not() -> None:
    seat = Account(SERVER, "8001", "secret1", "auto").line()
    citizen = Account(SERVER, "13800138000", "x", registers=False).line()
    assert seat.startswith("<sip:8001@127.0.0.1:5160>;auth_user=8001;auth_pass=secret1;regint=60;")
    assert "answermode=auto" in seat
    assert ";regint=0;" in citizen


@pytest.mark.parametrize(
    ("user", "secret"), [("80 01", "x"), ("8001", "a;b"), ("张三", "x"), ("", "")]
)
def test_an_account_that_would_break_its_line_is_refused(user: str, secret: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        Account(SERVER, user, secret).line()


def test_everything_listens_on_this_machine_alone() -> None:
    text = configuration(Path("/m"), Path("/r"), 5062, 4444, 700)
    listens = [line for line in text.splitlines() if "listen" in line or "interface" in line]
    assert len(listens) == 3
    assert all(line.split()[1].startswith("127.0.0.1") for line in listens)


def test_each_tone_of_a_mixture_is_heard_in_its_time_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    write_wav(file, [{620: 2000}, {620: 6000, 700: 1000, 1000: 2500}, {}, {440: 3000}])
    heard = tones_in(file, (440, 450, 620, 700, 1000, 1300))
    assert heard == [{620}] * 5 + [{620, 700, 1000}] * 5 + [set()] * 5 + [{440}] * 5
    assert longest(heard, {620, 700, 1000}) == pytest.approx(0.5)
    assert longest(heard, {1300}) == 0


def test_a_file_that_is_not_16_bits_mono_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "stereo.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((2, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(800))
    with pytest.raises(wave.Error, match="not 16 bits mono"):
        tones_in(file, (620,))
    write_wav(file, [{620: 2000}])
    with pytest.raises(ValueError, match="multiple of 10"):
        tones_in(file, (625,))


def test_a_file_that_is_still_written_is_read_up_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "open.wav"
    write_wav(file, [{620: 2000}])
    content = bytearray(file.read_bytes())
    content[40:44] = bytes(4)
    file.write_bytes(content[:-801])
    assert tones_in(file, (620, 700)) == [{620}] * 4
