"""A real IMAP server, dovecot, without any right, on loopback; its mail in a place of its own."""

from __future__ import annotations

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.lab.packages import find_program

USER, PASSWORD = "bridge", "imap-secret"

CONFIG = """
base_dir = {run}/base
state_dir = {run}/state
log_path = {run}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
protocols = imap
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{run}/mail/%u
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={run}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True, slots=True)
class ImapServer:
    """A running server with one mailbox."""

    port: int
    log: Path

    def put(self, mail: bytes) -> None:
        """A mail arrives."""
        with self._client() as client:
            answer, words = client.append("INBOX", "", "", mail)
            assert answer == "OK", words

    def flags(self) -> list[str]:
        """The flags of every mail, in order."""
        with self._client() as client:
            client.select("INBOX", readonly=True)
            _, found = client.search(None, "ALL")
            numbers = found[0].split()
            return [str(client.fetch(number.decode(), "(FLAGS)")[1][0]) for number in numbers]

    @contextlib.contextmanager
    def _client(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.port, 20) as client:
            client.login(USER, PASSWORD)
            yield client


@contextlib.contextmanager
def imap_server() -> Iterator[ImapServer]:
    """Started and ready; ended with all that belongs to it."""
    program = find_program("dovecot")
    assert program is not None, "dovecot-imapd is missing: make machine"
    uid = os.getuid() or pwd.getpwnam("nobody").pw_uid
    user = pwd.getpwuid(uid)
    run = Path(tempfile.mkdtemp(prefix="b110-imap-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = grp.getgrgid(user.pw_gid).gr_name
    config = CONFIG.format(
        run=run,
        user=user.pw_name,
        group=group,
        uid=uid,
        gid=user.pw_gid,
        port=port,
        password=PASSWORD,
    )
    (run / "imap.conf").write_text(config)
    for place in ("state", "base"):
        (run / place).mkdir()
    for owned in (run, *run.iterdir()):
        os.chown(owned, uid, user.pw_gid)
    identity = {} if os.getuid() else {"user": uid, "group": user.pw_gid, "extra_groups": []}
    child = subprocess.Popen(
        [program, "-F", "-c", str(run / "imap.conf")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **identity,  # type: ignore[call-overload]
    )
    try:
        _wait_ready(port, child, run / "log")
        yield ImapServer(port, run / "log")
    finally:
        child.terminate()
        child.wait(20)
        shutil.rmtree(run, ignore_errors=True)


def _wait_ready(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with imaplib.IMAP4("127.0.0.1", port, 20) as client:
                client.login(USER, PASSWORD)
                return
        except (OSError, imaplib.IMAP4.error):
            said = log.read_text() if log.exists() else ""
            assert child.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
