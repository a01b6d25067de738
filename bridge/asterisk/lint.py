"""The dialplan linter: its findings, and running every rule of `lint_rules`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.asterisk.lint_hit import Rule
from bridge.asterisk.lint_rules import RULES
from bridge.asterisk.routes import Routes


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks a rule."""

    file: str
    line: int
    rule: Rule
    detail: str

    def __str__(self) -> str:
        rule = self.rule
        return (
            f"{self.file}:{self.line}: {rule.severity} [{rule.id}] {rule.zh} / {rule.en}\n"
            f"    {self.detail}\n"
            f"    → {rule.mend_zh} / {rule.mend_en}"
        )

    def as_json(self) -> dict[str, str | int]:
        """The finding for programs."""
        return {
            "file": self.file,
            "line": self.line,
            "rule": self.rule.id,
            "severity": self.rule.severity,
            "message": self.rule.en,
            "message_zh": self.rule.zh,
            "detail": self.detail,
            "mend": self.rule.mend_en,
            "mend_zh": self.rule.mend_zh,
        }


def lint(routes: Routes) -> list[Finding]:
    """Every finding, in the order of files and lines."""
    return sorted(_findings(routes), key=lambda f: (f.file, f.line, f.rule.id, f.detail))


def _findings(routes: Routes) -> Iterator[Finding]:
    for rule in RULES:
        for found in dict.fromkeys(rule.check(routes)):
            yield Finding(found.place.file, found.place.line, rule, found.detail)
