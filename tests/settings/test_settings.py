"""Good settings are read; bad ones keep the daemon from starting, with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.call import Role
from bridge.lab.ports import LabPorts
from bridge.lab.settings_file import lab_toml
from bridge.settings.file import MAX_BYTES, load, parse
from bridge.settings.model import DIAL_FORM, SettingsError, expand
from tests.settings.settings_kit import line_with, make_places, settings, shipped


def refusal(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings(text)
    return str(caught.value).split("\n")


def test_shipped_file_is_good_as_it_stands() -> None:
    found = settings(shipped())
    target = found.targets()["12345"]
    assert (target.dial, target.role, target.name) == (
        "PJSIP/12345@hotline",
        Role.HOTLINE,
        "hotline",
    )
    assert (target.accept, target.ring_timeout, target.fallback) == ("press", 20, None)
    assert found.seats.all == (*(str(n) for n in range(8001, 8031)), "8099")
    assert found.seats.roles_of("8010") == ("110", "joint-action")
    assert found.seats.roles_of("8011") == ("110",)
    assert found.seats.groups_of("8010") == ("nonpolice",)
    assert found.seats.groups_of("8011") == ()


def test_every_commented_key_is_a_good_one() -> None:
    """The examples in the comments work when their `# ` is taken away."""
    lines = [
        line[2:]
        if line.startswith(("# [", "# "))
        and (" = " in line or re.fullmatch(r"# \[[a-z0-9._]+\]", line))
        and line[2:3] in "[abcdefghijklmnopqrstuvwxyz"
        and "," not in line.split(" = ")[0]
        else line
        for line in shipped().split("\n")
    ]
    kept = [line for line in lines if not line.startswith(("another", "needs"))]
    found = settings("\n".join(kept))
    assert found.ami.ca_file == Path("/etc/bridge110/ami-ca.pem")
    assert found.ami.server_hostname == "pbx1.example"
    assert found.targets()["12345"].fallback == "PJSIP/12345@trunk"
    assert found.targets()["6001"].role is Role.UNIT
    assert found.targets()["6001"].name == "unit-6001"
    group = found.targets()["7801"]
    assert (group.role, group.name, group.accept) == (Role.RADIO, "radio-7801", "answer")
    assert found.mail is not None
    assert found.mail.replies is not None
    assert found.platforms["12345"].aliases[0].number == "12319"
    assert found.documents.font is not None


# old text of the shipped file, what stands there instead, a word of the message
BAD = [
    ("port = 4573", "prot = 4573", "fastagi.prot: 未知的键,是不是 port?"),
    ("ballast_mb = 64", "ballast_mb = 64\nsecret = 'x'", "store.secret: 未知的键"),
    ('zone = "Asia/Shanghai"', 'zone = "Asia/Shangai"', "site.zone: 未知时区"),
    ('zone = "Asia/Shanghai"', 'zone = "../etc/passwd"', "site.zone: 未知时区"),
    ('name = "linyi"', 'name = "Lin Yi"', "site.name: 格式不对"),
    ("port = 4573", "port = 8110", "http.port: 端口 8110 与 fastagi.port 相同"),
    ("port = 4573", 'port = "4573"', "fastagi.port"),
    ("port = 4573", "port = 0", "fastagi.port"),
    ("tls = false", "tls = 0", "ami.tls"),
    ("ids = [", 'ids = ["8001", "8030-8001"]\n#', "seats.ids.1"),
    ("ids = [", 'ids = ["8001-8030", "8002"]\n#', "seats.ids.1: 坐席 8002 重复"),
    ('["8099"]', '["8005"]', "seats.leaders.0: 坐席 8005 重复"),
    ('["8010"]', '["8044"]', "seats.groups.nonpolice: 没有坐席 8044"),
    ('"joint-action"]', '"joint"]', "seats.roles.8010.1"),
    ("8010 = [", "8044 = [", "seats.roles.8044: 没有坐席 8044"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "PJSIP/110@hotline"', "呼叫的是本台号码 110"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "PJSIP/110"', "呼叫的是本台号码 110"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "PJSIP/8001"', "呼叫的是本台坐席 8001"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "PJSIP/1&PJSIP/2"', "desks.12345.dial: 应为"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "Local/12345@sink"', "desks.12345.dial: 应为"),
    ('dial = "PJSIP/12345@hotline"', 'dial = "PJSIP/a\\n"', "desks.12345.dial: 应为"),
    ('accept = "press"', 'accept = "always"', "desks.12345.accept: 应为"),
    ("ring_timeout_s = 20", "ring_timeout_s = 500", "desks.12345.ring_timeout_s"),
    (
        'accept = "press"',
        'accept = "press"\nfallback = "PJSIP/110@trunk"',
        "desks.12345.fallback: PJSIP/110@trunk 呼叫的是本台号码 110",
    ),
    (
        'accept = "press"',
        'accept = "press"\nfallback = "PJSIP/12345@hotline"',
        "desks.12345.fallback: 与 dial 相同",
    ),
    ('origins = ["http', 'origins = ["*", "http', "http.origins.0"),
    ('name = "linyi"', "name = linyi", "不是 TOML"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_bad_value_is_named_with_its_line_and_a_mend(old: str, new: str, said: str) -> None:
    good = shipped()
    number = next(
        n for n, line in enumerate(good.split("\n"), 1) if old in line and line[:1] != "#"
    )
    lines = good.split("\n")
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    bad = "\n".join(lines)
    told = refusal(bad)
    assert len(told) == 1
    place, _, message = told[0].partition(": ")
    assert said in message
    assert " / " in message
    expected = number
    if said.startswith("http.port"):
        expected = line_with(good, "port = 8110")
    elif "\n" in new and "\n#" not in new:
        expected = number + 1
    assert place == f"bridge.toml:{expected}"


@pytest.mark.parametrize(
    ("line", "key", "table"),
    [
        ("port = 4573\n", "fastagi.port: 缺少 port", "[fastagi]"),
        ("wrap_up_s = 20\n", "seats.wrap_up_s: 缺少 wrap_up_s", "[seats]"),
        ('accept = "press"\n', "desks.12345.accept: 缺少 accept", "[desks.12345]"),
    ],
)
def test_missing_key_is_told_at_its_table(line: str, key: str, table: str) -> None:
    bad = shipped().replace(f"\n{line}", "\n", 1)
    header = next(n for n, text in enumerate(bad.split("\n"), 1) if text == table)
    told = refusal(bad)
    assert told[0].startswith(f"bridge.toml:{header}: {key}")


def test_desk_12345_must_be_there() -> None:
    told = refusal(shipped().replace("[desks.12345]", "[desks.96110]"))
    assert "缺少 12345,请加上 [desks.12345]" in told[0]
    assert told[0].startswith("bridge.toml:")
    without = shipped().split("[desks.12345]")[0]
    assert "desks: 缺少 desks" in refusal(without)[0]


def test_own_number_seat_or_desk_cannot_be_a_unit() -> None:
    for number in ("110", "8001", "12345"):
        unit = f'\n[units.{number}]\ntitle = "x"\ndial = "PJSIP/x"\naccept = "press"\n'
        told = refusal(shipped() + unit + "ring_timeout_s = 20\n")
        assert any(f"units.{number}: 号码 {number} 已被" in line for line in told)


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    bad = shipped().replace("port = 4573", "prot = 4573").replace("wrap_up_s = 20", "")
    told = refusal(bad)
    numbers = [int(line.split(":")[1]) for line in told]
    assert len(told) == 2
    assert numbers == sorted(numbers)


def test_secret_to_another_machine_in_clear_is_refused() -> None:
    bad = shipped().replace('host = "127.0.0.1"\nport = 5038', 'host = "10.0.0.9"\nport = 5038')
    told = refusal(bad)
    assert told[0].startswith(f"bridge.toml:{line_with(bad, 'tls = false')}: ami.tls")
    assert settings(bad.replace("tls = false", "tls = true")).ami.tls


def test_fastagi_listens_on_this_machine_alone() -> None:
    bad = shipped().replace('host = "127.0.0.1"\nport = 4573', 'host = "0.0.0.0"\nport = 4573')
    assert "fastagi.host" in refusal(bad)[0]


def test_directory_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    text = make_places(tmp_path, shipped())
    file.write_text(text, encoding="utf-8")
    assert load(file).asterisk.etc == tmp_path / "etc-asterisk"
    (tmp_path / "etc-asterisk").rmdir()
    with pytest.raises(SettingsError) as caught:
        load(file)
    number = line_with(text, "etc = ")
    assert str(caught.value).startswith(f"{file}:{number}: asterisk.etc: 目录")
    assert load(file, look_at_disk=False).site.name == "linyi"


def test_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    text = make_places(tmp_path, shipped()).replace(
        "tls = false", f'tls = true\nca_file = "{tmp_path}/ca.pem"'
    )
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"ami\.ca_file: 文件"):
        load(file)


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match=r"x:2: 不是 UTF-8"):
        parse("[site]\nname = '临沂'".encode("gbk"), "x")
    with pytest.raises(SettingsError, match="文件过大"):
        parse(b"#" * (MAX_BYTES + 1), "x")


def test_bom_and_windows_line_ends_are_read() -> None:
    text = "\ufeff" + shipped().replace("\n", "\r\n")
    assert settings(text).site.name == "linyi"


@given(st.text("PJSIP/0123@-_ab&,\n()${};", max_size=24))
def test_what_reaches_the_dialler_is_one_channel(text: str) -> None:
    """guard.md S3: no list, no technology but PJSIP, nothing that a dialplan would read."""
    bad = shipped().replace('dial = "PJSIP/12345@hotline"', f"dial = {_quoted(text)}")
    if DIAL_FORM.fullmatch(text):
        assert not set(text) & set("&,\n(){}$; ")
    else:
        assert "desks.12345.dial" in "\n".join(refusal(bad))


def _quoted(text: str) -> str:
    return '"' + text.replace("\n", "\\n") + '"'


def test_ranges_keep_their_width() -> None:
    assert expand(["008-011", "8001"]) == ("008", "009", "010", "011", "8001")


class TestSecret:
    """The AMI secret comes from a file that others cannot read."""

    def test_name_is_a_credential_and_path_a_file(self, tmp_path: Path) -> None:
        ami = settings(shipped()).ami
        file = tmp_path / "ami-secret"
        file.write_text("s3cret\n")
        file.chmod(0o400)
        assert ami.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "s3cret"
        assert ami.model_copy(update={"secret_file": str(file)}).secret({}) == "s3cret"

    def test_without_credentials_the_mend_is_told(self) -> None:
        with pytest.raises(SettingsError, match="LoadCredential"):
            settings(shipped()).ami.secret({})

    @pytest.mark.parametrize("data", [b"", b"\n", b"a\nb", "密".encode(), b"x" * 513, b"a\x07"])
    def test_what_is_no_line_of_ascii_is_refused(self, tmp_path: Path, data: bytes) -> None:
        file = tmp_path / "ami-secret"
        file.write_bytes(data)
        file.chmod(0o600)
        with pytest.raises(SettingsError) as caught:
            settings(shipped()).ami.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert str(file) in str(caught.value)

    def test_file_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "ami-secret"
        file.write_text("s3cret")
        file.chmod(0o604)
        with pytest.raises(SettingsError, match="chmod o-rwx") as caught:
            settings(shipped()).ami.secret({"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert "s3cret" not in str(caught.value)


def test_laboratory_settings_are_good_and_hold_its_ports(tmp_path: Path) -> None:
    text = lab_toml(LabPorts(300), tmp_path, seats=["8001-8029"], leaders=["8030"])
    found = settings(text)
    assert (found.ami.port, found.fastagi.port, found.http.port) == (5438, 4873, 8410)
    assert set(found.targets()) == {"12345", *(str(n) for n in range(6001, 6011))}
    assert found.store.path.parent == tmp_path


@pytest.mark.req("SB-33")
@pytest.mark.parametrize("host", ["0.0.0.0", "36.110.1.1", "desk.example"])
def test_with_orders_the_desk_listens_on_the_private_network_alone(host: str) -> None:
    good = 'host = "127.0.0.1"\nport = 8110'
    assert good in shipped()
    with pytest.raises(SettingsError, match=r"http\.host"):
        settings(shipped().replace(good, f'host = "{host}"\nport = 8110'))
    private = settings(shipped().replace(good, 'host = "10.1.2.3"\nport = 8110'))
    assert private.http.host == "10.1.2.3"


GROUPS = """
[radio_groups.7801]
title = "城区电台组"
dial = "PJSIP/radio1"
gateway = "radio-1"
hang_s = 0.5
"""


@pytest.mark.req("LL-09")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GROUPS, "radio_groups: 电台组需要端口进程"),
        (GROUPS.replace("7801", "8001"), "radio_groups.8001: 号码 8001 已被本台"),
        (GROUPS.replace("PJSIP/radio1", "PJSIP/8001"), "radio_groups.7801.dial: PJSIP/8001 呼叫"),
        (GROUPS.replace("hang_s = 0.5", "hang_s = 9.0"), "radio_groups.7801.hang_s"),
        (GROUPS.replace('gateway = "radio-1"\n', ""), "radio_groups.7801.gateway"),
        (
            GROUPS + GROUPS.replace("7801", "7802").replace("radio-1", "radio-2"),
            "radio_groups.7802.dial: PJSIP/radio1 已属于网关 radio-1",
        ),
    ],
)
def test_a_radio_group_that_cannot_work_is_named_with_its_mend(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(shipped() + text)
    assert said in str(refused.value)
