"""What all sections of the settings are made of: forms of values, and secrets in files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a service with LoadCredential=."""
MAX_SECRET_BYTES: Final = 512


SPAN: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class SettingsError(Exception):
    """The settings cannot be used. The text has a line for each fault: place, what, mend."""


def _span(text: str) -> str:
    if SPAN.fullmatch(text) is None:
        raise ValueError('应为 "08:00-18:00" / must be like "08:00-18:00"')
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
Number = Annotated[str, Field(pattern=r"^[0-9]{3,16}$")]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
Line = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Short = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Span = Annotated[str, AfterValidator(_span)]
"""Hours of a day, `08:00-18:00`; over midnight where the second is the earlier."""
SecretFile = Annotated[str, Field(min_length=1, max_length=4096)]
"""A name: the credential of that name; an absolute path: that file."""


class Part(BaseModel):
    """Common to all sections: no key that we do not know, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def secret_path(key: str, name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The file of the secret `name` of setting `key`. Raises SettingsError where no credentials
    were given."""
    path = Path(name)
    if path.is_absolute():
        return path
    directory = environment.get(CREDENTIALS_VARIABLE, "")
    if not directory:
        raise SettingsError(
            f"{key} = {name!r}: 没有 ${CREDENTIALS_VARIABLE},"
            f"请由 systemd 启动或改为绝对路径 / ${CREDENTIALS_VARIABLE} is not set: "
            "start it by systemd (LoadCredential=) or name a file with its full path"
        )
    return Path(directory) / path


def read_secret(key: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The secret: first line of its file. Raises SettingsError naming the file and mend."""
    path = secret_path(key, name, environment)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise SettingsError(
                    f"{path}: 其他用户可以访问口令文件,请执行 chmod o-rwx / others may read "
                    f"the secret; run chmod o-rwx {path}"
                )
            text = file.read(MAX_SECRET_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}: 无法读取口令 / cannot read the secret of {key}: {error}"
        ) from error
    if not 1 <= len(text) <= MAX_SECRET_BYTES or not text.isprintable():
        raise SettingsError(
            f"{path}: 应为一行可见 ASCII 字符 / one line of printable ASCII is expected"
        )
    return text
