"""Linter rules about values from outside: names, numbers and headers that a caller chose. Pure.

Guard rules 19 and 20, threats S3 and S4: `$[ ]`, System, EVAL and dial strings were each passed by
such a value on a real Asterisk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.asterisk.dialplan import Priority
from bridge.asterisk.expression import EXPRESSION, Reference, references, split
from bridge.asterisk.lint_hit import Hit, hit
from bridge.asterisk.routes import Routes

OUTSIDE: Final = frozenset(
    {
        "CALLERID", "CALLERIDNAME", "CALLERIDNUM", "CONNECTEDLINE", "REDIRECTING", "DNID",
        "PJSIP_HEADER", "PJSIP_HEADERS", "PJSIP_RESPONSE_HEADER", "PJSIP_PARSE_URI",
        "PJSIP_HEADER_PARAM", "SIP_HEADER", "SIPCALLID", "INVALID_EXTEN", "MESSAGE",
        "MESSAGE_DATA", "SENDTEXT", "URIDECODE", "SMDI_MSG", "BLINDTRANSFER", "FORWARDERNAME",
        "REMOTESTATIONID",
    }
)  # fmt: skip
OUTSIDE_OF_CHANNEL: Final = ("pjsip", "uri", "exten", "dnid", "callgroup")
CLEAN: Final = frozenset({"FILTER", "LEN", "MD5", "SHA1"})
"""What comes out of these holds no sign that the caller chose freely."""
RUNS: Final = frozenset({"EVAL", "SHELL"})
COMMANDS: Final = frozenset({"system", "trysystem", "externalivr", "shell"})
_DANGEROUS = set("&@/,|\"'${}()[];\\`<>")


def is_outside(reference: Reference, step: Priority) -> bool:
    """Whether a caller, or a far exchange, chose this value."""
    if reference.name == "EXTEN":
        return step.pattern.startswith("_")
    if reference.name == "CHANNEL":
        return split(reference.argument)[0].lower() in OUTSIDE_OF_CHANNEL
    if reference.name == "CDR":
        return split(reference.argument)[0].lower() in ("src", "clid", "dst")
    return reference.name in OUTSIDE


def _outside(routes: Routes) -> Iterator[tuple[Priority, Reference]]:
    for step in routes.plan.priorities():
        for reference in references(_plain(step)):
            if is_outside(reference, step):
                yield step, reference


def _plain(step: Priority) -> str:
    """The arguments; WaitForCondition writes another sign for `$`, so that it is put in late."""
    if step.app.lower() != "waitforcondition":
        return step.args
    sign = split(step.args)[0]
    return step.args.replace(f"{sign}{{", "${").replace(f"{sign}[", "$[") if sign else step.args


def unfiltered(routes: Routes) -> Iterator[Hit]:
    """A value from outside that no FILTER() has passed; inside `$[ ]` see `in_expression`."""
    for step, reference in _outside(routes):
        if not CLEAN & set(reference.around) and EXPRESSION not in reference.around:
            yield hit(step, str(reference))


def in_expression(routes: Routes) -> Iterator[Hit]:
    """A value from outside inside `$[ ]`, where a quotation mark in it rewrites the condition."""
    for step, reference in _outside(routes):
        if EXPRESSION in reference.around and not CLEAN & set(reference.around):
            yield hit(step, str(reference))


def in_command(routes: Routes) -> Iterator[Hit]:
    """A value from outside, filtered or not, in what is run or names a file.

    System, EVAL, SHELL; and MixMonitor, whose third argument is a command and whose file names are
    made of our own ids only.
    """
    for step, reference in _outside(routes):
        app = step.app.lower()
        if app in COMMANDS or app == "mixmonitor" or RUNS & set(reference.around):
            yield hit(step, str(reference))


def weak_filter(routes: Routes) -> Iterator[Hit]:
    """A FILTER() that lets through a sign which means something to Dial, `$[ ]` or a shell."""
    for step in routes.plan.priorities():
        for reference in references(_plain(step)):
            if reference.name != "FILTER":
                continue
            allowed = split(reference.argument)[0]
            passed = _DANGEROUS & set(re.sub(r"\\([-.+*#_])", r"\1", allowed))
            if passed:
                yield hit(step, f"{reference}: {' '.join(sorted(passed))}")
