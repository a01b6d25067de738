"""Reads apt's sources to learn the Debian mirror that this machine already uses.

Formats: one-line (`*.list`) and deb822 (`*.sources`), see sources.list(5); `mirror+file:` lists,
see apt-transport-mirror(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridge.lab.progress import SetupError

ARCHIVE_SUITES: Final = re.compile(
    r"^(buster|bullseye|bookworm|trixie|forky|duke|(old)*stable|testing|unstable|sid)$"
)
"""Suites of Debian's main archive; -security, -updates and -backports can live elsewhere."""

NO: Final = ("no", "false", "0", "off", "without", "disable")
"""apt's words for a field that is switched off."""


@dataclass(frozen=True, slots=True)
class Source:
    """One enabled binary source of apt."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def debian_mirrors(etc_apt: Path = Path("/etc/apt")) -> list[str]:
    """Mirrors of Debian's main archive that this machine uses, the likeliest first.

    Raises SetupError when apt knows none: not a Debian machine, or its sources are empty.
    """
    found = [source for source in read_sources(etc_apt) if _is_archive(source)]
    ranked = sorted(found, key=_doubt)
    mirrors = [uri for source in ranked for uri in _resolve(source.uri)]
    if not mirrors:
        raise SetupError(
            f"{etc_apt}: no Debian mirror found in sources.list or sources.list.d; "
            "add one (deb822 or one-line), or install Asterisk >= 22.10.1 yourself"
        )
    return list(dict.fromkeys(mirrors))


def read_sources(etc_apt: Path) -> list[Source]:
    """Every enabled `deb` source under `etc_apt`, in apt's order of reading."""
    parts = etc_apt / "sources.list.d"
    one_line = [etc_apt / "sources.list", *sorted(parts.glob("*.list"))]
    sources: list[Source] = []
    for file in [*one_line, *sorted(parts.glob("*.sources"))]:
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            parse = parse_deb822 if file.suffix == ".sources" else parse_one_line
            sources.extend(parse(text))
    return sources


def parse_one_line(text: str) -> Iterator[Source]:
    """`deb [option=value …] uri suite [component …]`, a comment after `#`."""
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match is None:
            continue
        options = dict(re.findall(r"([\w-]+)=(\S+)", match[1] or ""))
        yield Source(match[2], match[3], tuple(match[4].split()), options.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """Stanzas of `Field: values`, each URI with each suite; `Enabled: no` switches one off."""
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): " ".join(value.split())
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in NO:
            continue
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, components, fields.get("signed-by", ""))


def _is_archive(source: Source) -> bool:
    return (
        "main" in source.components and ARCHIVE_SUITES.match(source.suite.rstrip("/")) is not None
    )


def _doubt(source: Source) -> int:
    """0 for certain; other vendors too call their suites after Debian's."""
    by_key = "debian-archive" in source.signed_by
    by_path = urlsplit(source.uri).path.rstrip("/") == "/debian"
    return 2 - by_key - by_path


def _resolve(uri: str) -> list[str]:
    """The URI itself, or what a local `mirror+file:` list names."""
    if not uri.startswith("mirror+file:"):
        return [uri.rstrip("/")]
    listing = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    if not listing.is_file():
        return []
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[0].rstrip("/") for line in lines if line.strip() and line[0] != "#"]
