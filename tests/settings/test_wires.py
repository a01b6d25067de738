"""Faults in the sections of mail, papers and platforms are named with line and mend."""

from __future__ import annotations

import pytest

from bridge.settings.model import SettingsError
from tests.settings.settings_kit import settings, shipped

MAIL = """
[mail]
host = "smtp.example"
port = 465
encryption = "tls"
sender = "orders@desk.example"
link_key_file = "mail-link-key"
username = "orders"
secret_file = "mail-secret"

[mail.replies]
host = "imap.example"
port = 993
encryption = "starttls"
username = "orders"
secret_file = "mail-secret"
poll_s = 30

[fax]
inbox = "/var/lib/bridge110/fax"

[platforms.12345]
url = "https://12345.example/platform/110"
key_file = "platform-12345-key"
aliases = [{ number = "12319", since = 2024-01-01 }]
"""

BAD = [
    ('encryption = "tls"', 'encryption = "none"', "mail.encryption: 口令会明文传到 smtp.example"),
    ('encryption = "starttls"', 'encryption = "none"', "mail.replies.encryption: 口令会明文"),
    ('encryption = "tls"', 'encryption = "ssl"', "mail.encryption: 应为"),
    ('sender = "orders@', 'sender = "a b@', "mail.sender: 格式不对"),
    ('secret_file = "mail-secret"\n\n', "\n", "mail: username 与 secret_file"),
    ("poll_s = 30", "poll_s = 1", "mail.replies.poll_s"),
    ('inbox = "/var', 'outbox = "/var', "fax.inbox"),
    ("[platforms.12345]", "[platforms.12346]", "platforms.12346: 没有 [desks.12346]"),
    ('url = "https://', 'url = "ftp://', "platforms.12345.url: 格式不对"),
    ('number = "12319"', 'number = "110"', "platforms.12345.aliases.0.number: 号码 110"),
    ('number = "12319"', 'number = "8001"', "platforms.12345.aliases.0.number: 号码 8001"),
    ("2024-01-01", '"soon"', "platforms.12345.aliases.0.since"),
]


def test_the_sections_are_read() -> None:
    found = settings(shipped() + MAIL)
    assert found.mail is not None
    assert found.mail.replies is not None
    assert found.platforms["12345"].url == "https://12345.example/platform/110"
    assert settings(shipped()).mail is None


@pytest.mark.parametrize(("old", "new", "words"), BAD)
def test_every_fault_is_named(old: str, new: str, words: str) -> None:
    text = shipped() + MAIL.replace(old, new, 1)
    assert old in MAIL
    with pytest.raises(SettingsError) as found:
        settings(text)
    assert words in str(found.value)


def test_a_local_mail_server_may_speak_in_clear() -> None:
    local = MAIL.replace("smtp.example", "127.0.0.1").replace('"tls"', '"none"')
    found = settings(shipped() + local)
    assert found.mail is not None
    assert found.mail.encryption == "none"


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (MAIL[: MAIL.index("[mail.replies]")], "mail"),
        ('[fax]\ninbox = "/var/lib/bridge110/fax"\n', "fax"),
        ("[documents]\n", "documents"),
        ('[ports]\nsocket = "/run/bridge110/ports.sock"\n', "ports"),
    ],
)
def test_a_wire_of_orders_without_orders_is_a_fault(section: str, name: str) -> None:
    head, orders, keys = shipped().partition("[orders]\n")
    assert orders
    settings(f"{head}{orders}{keys}\n{section}")
    assert settings(head).orders is None
    with pytest.raises(SettingsError) as found:
        settings(f"{head}\n{section}")
    assert f"{name}: 本节只用于指令" in str(found.value)
    assert f"add [orders] or remove [{name}]" in str(found.value)


def test_a_platform_has_no_key_that_nothing_reads() -> None:
    with pytest.raises(SettingsError, match=r"platforms\.12345\.areas"):
        settings(
            shipped() + MAIL.replace('key_file = "platform', 'areas = ["x"]\nkey_file = "platform')
        )
