"""The tokens file: who may use the REST and event interface. One JSON object a line.

Only the SHA-256 of a token is kept; the token itself is shown once, when it is made. Tokens are
256 random bits, so a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

Role = Literal["T", "L", "E", "U", "A", "P"]
"""Call-taker, shift leader, engineer, unit, auditor, third-party desk (softphone sheet 10.3)."""

TOKEN_BYTES: Final = 32
MAX_RECORDS: Final = 10_000
MAX_LIFE_DAYS: Final = 366
"""A token lives a year at most (softphone sheet 10.1)."""


class TokensError(Exception):
    """The tokens file cannot be used as it is; the text names place and mend, zh-CN first."""


class TokenRecord(BaseModel):
    """One token, without the token. `seat` is set for people at a seat (T, L)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
    role: Role
    seat: str | None = Field(default=None, pattern=r"^[0-9]{3,16}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires: AwareDatetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Whether it may still be used."""
        return self.expires is None or now < self.expires


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """256 random bits, good for a header and a file."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def read_tokens(path: Path) -> Sequence[TokenRecord]:
    """All records, oldest first; none when there is no file yet.

    Raises TokensError naming the line, also when others than owner and group may read the file.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise TokensError(
                    f"{path}: 其他用户可以读取,请执行 chmod o-rwx / "
                    f"others may read it; run chmod o-rwx {path}"
                )
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise TokensError(f"{path}: 无法读取 / cannot be read: {error}") from error
    if len(lines) > MAX_RECORDS:
        raise TokensError(f"{path}: 超过 {MAX_RECORDS} 行 / over {MAX_RECORDS} lines; remove some")
    return [_record(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _record(path: Path, number: int, line: str) -> TokenRecord:
    try:
        return TokenRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TokensError(
            f"{path}:{number}: 不是令牌记录,请删除此行并重新生成 / no token record ({where}: "
            f"{first['msg']}); remove the line and make the token again"
        ) from error


def add_token(path: Path, record: TokenRecord) -> None:
    """Append a record, synced. Raises TokensError: name taken, or the file cannot be written."""
    if any(known.name == record.name for known in read_tokens(path)):
        raise TokensError(
            f"{path}: 名称 {record.name!r} 已存在,请换一个 / name is taken; choose another"
        )
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        with os.fdopen(descriptor, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TokensError(f"{path}: 无法写入 / cannot be written: {error.strerror}") from error
