"""The mail channel as its settings say, or a refusal that names file and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.channels.mail import MailParts, open_mail
from bridge.settings.model import SettingsError
from bridge.settings.wires import Mail
from tests.channels.mail_kit import FixedClock, Spawned, Told, no_file, plain_paper
from tests.settings.settings_kit import settings, shipped
from tests.settings.test_wires import MAIL


def opened(directory: Path, **more: object) -> MailParts:
    mail = settings(shipped() + MAIL).mail
    assert isinstance(mail, Mail)
    return open_mail(
        mail.model_copy(update=more),
        link_base="https://desk.example/",
        paper=plain_paper,
        tell=Told(),
        clock=FixedClock(),
        spawn=Spawned(),
        read=no_file,
        environment={"CREDENTIALS_DIRECTORY": str(directory)},
    )


def secret(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text)
    (directory / name).chmod(0o600)


def test_secrets_come_from_their_files(tmp_path: Path) -> None:
    secret(tmp_path, "mail-secret", "password")
    with pytest.raises(SettingsError, match="mail-link-key"):
        opened(tmp_path)
    secret(tmp_path, "mail-link-key", "short")
    with pytest.raises(SettingsError, match="openssl rand"):
        opened(tmp_path)
    secret(tmp_path, "mail-link-key", "k" * 64)
    parts = opened(tmp_path)
    assert parts.replies is not None
    assert parts.link_key == b"k" * 64
    assert opened(tmp_path, replies=None).replies is None


def test_a_ca_that_is_none_is_refused(tmp_path: Path) -> None:
    secret(tmp_path, "mail-secret", "password")
    secret(tmp_path, "mail-link-key", "k" * 64)
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in ("ca.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=r"mail\.ca_file"):
            opened(tmp_path, ca_file=tmp_path / file)
