"""What this machine must have: a host name that resolves, space, a store, sounds, secrets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bridge.cli.check_result import Found, bad, good, judged
from bridge.flows.ports import StoreError
from bridge.lab.sounds import read_prompts
from bridge.settings.model import Settings, SettingsError
from bridge.settings.parts import read_secret, secret_path
from bridge.share import share
from bridge.store.connection import open_reading, sqlite_version
from bridge.store.space import LOW_BYTES, LOW_SHARE
from bridge.store.sql import query
from bridge.tokens import TokensError, read_tokens

RESOLVE_S: Final = 0.05
"""Asterisk looks its own name up before the first ring of a call (softphone sheet, rule 1)."""
RESOLVE_LIMIT_S: Final = 2.0
SOUND_FORMS: Final = ("wav", "alaw", "ulaw", "sln", "gsm")


def machine(settings: Settings, environment: Mapping[str, str]) -> Iterator[Found]:
    """Everything that can be seen without Asterisk; `environment` tells where credentials are."""
    yield host_name(socket.gethostname())
    yield from _disks(settings)
    yield _store(settings.store.path)
    yield _sounds(settings.asterisk.sounds)
    yield _secret(settings, environment)
    yield from _more_secrets(settings, environment)
    yield _tokens(settings)
    if settings.orders is not None:
        yield _papers(settings)


def host_name(name: str) -> Found:
    """Whether the machine's own name is found by itself, without any name server."""
    seconds, known = min((_resolve(name) for _ in range(3)), default=(RESOLVE_LIMIT_S, False))
    shown_ms = f"{1000 * seconds:.0f} ms"
    mend = f"在 /etc/hosts 加一行 127.0.1.1 {name} / add the line '127.0.1.1 {name}' to /etc/hosts"
    if not known:
        what = f"{name} 无法解析({shown_ms}) / does not resolve"
        return bad("host name", what, mend)
    if seconds > RESOLVE_S:
        return bad("host name", f"{name}: {shown_ms},过慢 / too slow (limit 50 ms)", mend)
    return good("host name", f"{name}: {shown_ms}")


def _resolve(name: str) -> tuple[float, bool]:
    begun = time.monotonic()
    try:
        asked = subprocess.run(
            ["getent", "hosts", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RESOLVE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return RESOLVE_LIMIT_S, False
    return time.monotonic() - begun, asked.returncode == 0


def _disks(settings: Settings) -> Iterator[Found]:
    places = {
        "store disk": settings.store.path.parent,
        "recordings disk": settings.asterisk.recordings,
    }
    for name, place in places.items():
        try:
            disk = shutil.disk_usage(place)
        except OSError as error:
            yield bad(name, f"{place}: {error.strerror}", "建立此目录 / make the directory")
            continue
        low = disk.free < LOW_BYTES or disk.free < LOW_SHARE * disk.total
        room = f"{place}: {disk.free / 1e9:.1f} / {disk.total / 1e9:.1f} GB 可用 / free"
        yield judged(
            name,
            room if low else None,
            room,
            "至少留出 1 GiB 与 5% / keep 1 GiB and 5 % free: move old recordings away",
        )


def _store(path: Path) -> Found:
    version = ".".join(map(str, sqlite_version()))
    if not path.exists():
        if path.parent.is_dir():
            return good("store", f"{path}: 首次启动时建立 / made at the first start")
        return bad("store", f"{path.parent} 不存在 / is not there", "建立此目录 / make it")
    try:
        with open_reading(path) as connection:
            entries = next(iter(connection.execute(query("head"))), (0,))[0]
    except StoreError as error:
        mend = "检查文件权限;损坏时恢复备份 / check its rights; restore a backup if damaged"
        return bad("store", str(error), mend)
    return good("store", f"{path}: {entries} 条记录 / entries, SQLite {version}")


def _sounds(directory: Path) -> Found:
    names = [prompt.name for prompt in read_prompts(share("dialplans") / "prompts.toml")]
    missing = [name for name in names if not _has_sound(directory, name)]
    return judged(
        "sounds",
        f"{directory}/bridge110: 缺少 / missing: {', '.join(missing)}" if missing else None,
        f"{len(names)} 个提示音 / prompts",
        "放入 8 kHz WAV,或由 make machine 合成 / put 8 kHz WAV files there (names as in "
        "dialplans/prompts.toml)",
    )


def _has_sound(directory: Path, name: str) -> bool:
    """Where Asterisk looks: the language's directory, then the plain one."""
    return any(
        file.suffix[1:] in SOUND_FORMS
        for place in (directory, *directory.glob("*/"))
        for file in (place / "bridge110").glob(f"{name}.*")
    )


def _secret(settings: Settings, environment: Mapping[str, str]) -> Found:
    try:
        settings.ami.secret(environment)
    except SettingsError as error:
        return bad("AMI secret", str(error), "见 systemd/README.md / see systemd/README.md")
    return good("AMI secret", str(settings.ami.secret_path(environment)))


def _more_secrets(settings: Settings, environment: Mapping[str, str]) -> Iterator[Found]:
    """Passwords and keys of mail and of other platforms, where the site has them."""
    named: dict[str, str | None] = {}
    if settings.mail is not None:
        named["mail.link_key_file"] = settings.mail.link_key_file
        named["mail.secret_file"] = settings.mail.secret_file
        if settings.mail.replies is not None:
            named["mail.replies.secret_file"] = settings.mail.replies.secret_file
    for ident, platform in settings.platforms.items():
        named[f"platforms.{ident}.key_file"] = platform.key_file
        named[f"platforms.{ident}.next_key_file"] = platform.next_key_file
    for key, name in named.items():
        if name is None:
            continue
        try:
            read_secret(key, name, environment)
        except SettingsError as error:
            yield bad(key, str(error), "见 systemd/README.md / see systemd/README.md")
        else:
            yield good(key, str(secret_path(key, name, environment)))


def _tokens(settings: Settings) -> Found:
    path = settings.http.tokens_file
    try:
        count = len(read_tokens(path))
    except TokensError as error:
        return bad("tokens", str(error), "更正此文件 / correct the file")
    if not count:
        return bad("tokens", f"{path}: 没有令牌 / no token", "bridge110 token new --role …")
    return good("tokens", f"{path}: {count}")


def _papers(settings: Settings) -> Found:
    """Whether every template makes a paper with the typeface of this machine."""
    from bridge.app.papers import open_documents  # a typeface of 16 MB: only where it is looked at

    try:
        open_documents(settings).close()
    except SettingsError as error:
        return bad("papers", str(error), "更正模板或安装字体 / mend the template, install the font")
    return good("papers", "指令单、督办通知单、回访登记表、移交回执 / all four templates")
