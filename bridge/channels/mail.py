"""The mail channel and its mailbox as the settings have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.channels.email import EmailChannel, MailServer, MakePaper, ReadFile, Spawn, tls_context
from bridge.channels.mail_box import MailboxAccount, ReplyMailbox
from bridge.flows.ports import Clock, FromChannel
from bridge.settings.parts import SettingsError, read_secret
from bridge.settings.wires import Mail
from bridge.wire.ack_link import MIN_KEY


@dataclass(frozen=True, slots=True)
class MailParts:
    """`replies.run` belongs into the daemon's task group; `link_key` checks links' tokens."""

    channel: EmailChannel
    replies: ReplyMailbox | None
    link_key: bytes


def signing_key(key: str, name: str, environment: Mapping[str, str]) -> bytes:
    """A key of a file. Raises SettingsError where it is missing or short."""
    made = read_secret(key, name, environment).encode("ascii")
    if len(made) < MIN_KEY:
        raise SettingsError(
            f"{key}: 密钥少于 {MIN_KEY} 个字符,请用 openssl rand -hex 32 生成 / the key has fewer "
            f"than {MIN_KEY} characters; make one with openssl rand -hex 32"
        )
    return made


def open_mail(
    mail: Mail,
    *,
    link_base: str,
    paper: MakePaper,
    tell: FromChannel,
    clock: Clock,
    spawn: Spawn,
    environment: Mapping[str, str],
    read: ReadFile,
    alarm: Callable[[str, str], None] = lambda name, words: None,
) -> MailParts:
    """Everything of [mail]. `link_base`: what stands before the token of a link; empty: no links.

    Raises SettingsError: a secret or the CA's file cannot be used.
    """
    key = signing_key("mail.link_key_file", mail.link_key_file, environment)
    password = (
        read_secret("mail.secret_file", mail.secret_file, environment) if mail.secret_file else ""
    )
    server = MailServer(
        host=mail.host,
        port=mail.port,
        security=mail.encryption,
        sender=mail.sender,
        username=mail.username or "",
        password=password,
        ca_file=mail.ca_file,
        link_base=link_base,
        link_key=key,
    )
    try:
        channel = EmailChannel(server, paper, tell, clock, spawn, read)
        tls = tls_context(mail.ca_file)
    except OSError as error:
        raise SettingsError(
            f"mail.ca_file: {mail.ca_file}: 无法使用 / cannot be used ({error}); "
            "put the CA's PEM file there"
        ) from error
    replies = None
    if mail.replies is not None:
        account = mail.replies
        mailbox = MailboxAccount(
            host=account.host,
            port=account.port,
            security=account.encryption,
            username=account.username,
            password=read_secret("mail.replies.secret_file", account.secret_file, environment),
            folder=account.folder,
            poll_s=account.poll_s,
        )
        replies = ReplyMailbox(mailbox, tls, [key], tell, clock, alarm)
    return MailParts(channel, replies, key)
