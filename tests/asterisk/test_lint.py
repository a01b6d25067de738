"""Every rule of the linter finds what it is for, and leaves the right way of writing alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.asterisk.conf import read_conf
from bridge.asterisk.dialplan import build
from bridge.asterisk.lint import Finding, lint
from bridge.asterisk.lint_rules import RULES
from bridge.asterisk.routes import Routes, feature_targets

CHINESE = re.compile("[\u4e00-\u9fff]")
CITIZEN = "; channel: citizen\n; words\n[in]\nexten => s,1,Answer()\n"
THIRD = "; channel: third\n; words\n[leg]\nexten => s,1,Answer()\n"
GOODBYE = "; channel: citizen\n; words\n[goodbye]\nexten => s,1,Hangup(16)\n"
AGI_PLAN = """; channel: third
; words
[leg]
exten => s,1,Set(ACCEPTED=)
 same => n,GotoIf($[${EPOCH} - 0${GLOBAL(HEARTBEAT)} > 4]?ask)
 same => n,Set(AGIEXITONHANGUP=yes)
 same => n,Set(TIMEOUT(absolute)=25)
 same => n,AGI(agi://127.0.0.1/accept)
 same => n,Set(TIMEOUT(absolute)=0)
 same => n,GotoIf($["${ACCEPTED}"="1"]?ask)
 same => n(ask),Hangup()
exten => T,1,Set(TIMEOUT(absolute)=0)
 same => n,Goto(s,ask)
"""


def citizen(*steps: str, end: str = "Goto(goodbye,s,1)") -> str:
    """A citizen's context with these steps, and a proper end."""
    return CITIZEN + "".join(f" same => n,{step}\n" for step in (*steps, end) if step) + GOODBYE


def third(*steps: str) -> str:
    """A third party's context with these steps."""
    return THIRD + "".join(f" same => n,{step}\n" for step in (*steps, "Hangup()"))


def agi(line: str, instead: str = "") -> str:
    """The guarded AGI with one line taken out or written otherwise."""
    assert line in AGI_PLAN
    return AGI_PLAN.replace(line, instead)


SEAT = "; channel: seat\n; words\n[seat]\nexten => s,1,Return()\n"
PATTERN = "; channel: third\n; words\n[out]\nexten => {},1,Goto(dial,s,1)\n"
DIAL = "; channel: third\n; words\n[dial]\nexten => s,1,Dial(PJSIP/1,10)\n same => n,Hangup()\n"

CASES: list[tuple[str, str, str]] = [
    ("unknown-target", third("Goto(nowhere,s,1)"), third("Goto(leg,s,1)")),
    ("unknown-target", third("Goto(leg,x,1)"), third("Goto(s,1)")),
    ("unknown-target", third("Goto(lable)"), third("NoOp()", "Goto(2)")),
    ("unknown-target", third("GotoIf($[1]?s,1:away,s,1)"), third("GotoIf($[1]?s,1)")),
    ("unknown-target", third("Gosub(nowhere,s,1(a))"), third("Gosub(leg,s,1(a))")),
    ("unknown-target", third("ExecIf($[1]?Goto(nowhere,s,1))"), third("ExecIf($[1]?NoOp())")),
    (
        "unknown-target",
        citizen("Queue(q,c,,,60,,nowhere)"),
        citizen("Queue(q,c,,,60,,seat)") + SEAT,
    ),
    ("unknown-target", third("Dial(PJSIP/1,9,U(nowhere))"), third("Dial(PJSIP/1,9,U(leg))")),
    ("unknown-target", third("Bridge(${C},F(no^s^1))"), third("Bridge(${C},F(leg^s^1))")),
    (
        "unknown-target",
        third("Originate(PJSIP/1,exten,${WHERE},s,1,20)") + "[globals]\nWHERE=nowhere\n",
        third("Originate(PJSIP/1,exten,${WHERE},s,1,20)") + "[globals]\nWHERE=leg\n",
    ),
    (
        "unknown-target",
        third("Goto(dialed-${DIALSTATUS},1)"),
        third("Goto(dialed-${DIALSTATUS},1)") + "exten => _dialed-!,1,Hangup()\n",
    ),
    ("unknown-target", third() + "include => nowhere\n", third() + "include => leg\n"),
    ("citizen-leaves", citizen("Goto(leg,s,1)") + third(), citizen("NoOp()") + third()),
    (
        "citizen-leaves",
        citizen("Bridge(${CITIZEN},F(leg^s^1))") + third(),
        citizen("Bridge(${SEAT},F(leg^s^1))") + third(),
    ),
    ("citizen-hangup", citizen("Hangup()"), citizen() + "[in]\nexten => i,1,Hangup(1)\n"),
    ("citizen-hangup", citizen("Busy(3)"), third("Busy(3)")),
    ("citizen-falls-off", citizen(end="NoOp()"), citizen(end="Goto(s,1)")),
    (
        "citizen-falls-off",
        citizen(end="GotoIf($[1]?goodbye,s,1)"),
        citizen(end="GotoIf($[1]?goodbye,s,1:s,1)"),
    ),
    ("dial-drops-citizen", citizen("Dial(PJSIP/1,10)"), citizen("Dial(PJSIP/1,10,g)")),
    ("dial-no-timeout", third("Dial(PJSIP/1)"), third("Dial(PJSIP/1,10)")),
    ("dial-no-timeout", third("Dial(PJSIP/1,0,g)"), third("Dial(PJSIP/1,${RING_LIMIT})")),
    ("dial-no-timeout", third("RetryDial(a,1,2,PJSIP/1)"), third("RetryDial(a,1,2,PJSIP/1,10)")),
    ("queue-no-timeout", citizen("Queue(q,c)"), citizen("Queue(q,c,,,600)")),
    ("queue-no-continue", citizen("Queue(q,r,,,600)"), citizen("Queue(q,cr,,,600)")),
    ("pattern-to-dial", PATTERN.format("_X.") + DIAL, PATTERN.format("_80XX") + DIAL),
    ("pattern-to-dial", PATTERN.format("_!") + DIAL, PATTERN.format("_dialed-!") + DIAL),
    ("pattern-to-dial", PATTERN.format("_[0-9]!") + DIAL, PATTERN.format("110") + DIAL),
    (
        "pattern-to-dial",
        PATTERN.format("_00.") + DIAL,
        PATTERN.format("_X.").replace("dial", "out"),
    ),
    (
        "feature-keys-citizen",
        citizen("Set(__DYNAMIC_FEATURES=three-way)"),
        third("Set(DYNAMIC_FEATURES=three-way)"),
    ),
    ("feature-keys-citizen", citizen("Queue(q,ct,,,60)"), citizen("Queue(q,cr,,,60)")),
    ("feature-keys-citizen", citizen("Dial(PJSIP/1,9,gX)"), citizen("Dial(PJSIP/1,9,gr(tone))")),
    (
        "feature-keys-citizen",
        citizen("Dial(PJSIP/1,9,gh)"),
        citizen("Dial(PJSIP/1,9,gU(seat))") + SEAT,
    ),
    ("confbridge", third("ConfBridge(1)"), third("BridgeAdd(${CITIZEN})")),
    ("mixmonitor-mixes", third("MixMonitor(a.wav)"), third("MixMonitor(,r(a.wav))")),
    ("mixmonitor-mixes", third("MixMonitor(a.wav,bD)"), third("MixMonitor(,br(a.wav))")),
    ("unbounded-wait", third("Read(K,a,1,,1)"), third("Read(K,a,1,,1,3)")),
    ("unbounded-wait", third("Wait()"), third("Wait(0.2)")),
    ("unbounded-wait", third("Wait(86400)"), third("Wait(${IF($[1]?1:2)})")),
    (
        "unbounded-wait",
        third('WaitForCondition(#,#["#{A}"="1"])'),
        third('WaitForCondition(#,#["#{A}"="1"],0.4,0.02)'),
    ),
    ("unbounded-wait", third("MusicOnHold(default)"), third("MusicOnHold(default,30)")),
    ("agi-on-citizen", CITIZEN + " same => n,AGI(agi://x/y)\n", AGI_PLAN),
    ("agi-on-citizen", citizen("Queue(q,c,,,60,agi://x/y)"), citizen("Queue(q,c,,,60)")),
    (
        "agi-on-citizen",
        citizen("Gosub(ask,s,1)") + "[ask]\nexten => s,1,EAGI(x)\n same => n,Return()\n",
        citizen() + "[ask]\nexten => s,1,EAGI(x)\n same => n,Return()\n",
    ),
    ("agi-no-fallback", agi("Set(ACCEPTED=)", "NoOp()"), AGI_PLAN),
    ("agi-no-fallback", agi("${ACCEPTED}", "${AGISTATUS}"), AGI_PLAN),
    ("agi-unguarded", agi("${GLOBAL(HEARTBEAT)}", "1"), AGI_PLAN),
    ("agi-unguarded", agi("AGIEXITONHANGUP=yes", "A=1"), AGI_PLAN),
    ("agi-unguarded", agi("Set(TIMEOUT(absolute)=25)", "NoOp()"), AGI_PLAN),
    ("agi-unguarded", agi("TIMEOUT(absolute)=25", "TIMEOUT(absolute)=0"), AGI_PLAN),
    ("agi-unguarded", agi("TIMEOUT(absolute)=25", "TIMEOUT(absolute)=900"), AGI_PLAN),
    (
        "agi-unguarded",
        agi("exten => T,1,Set(TIMEOUT(absolute)=0)", "exten => T,1,NoOp()"),
        AGI_PLAN,
    ),
    ("agi-unguarded", agi("exten => T,", "exten => t,"), AGI_PLAN),
    (
        "agi-unguarded",
        agi(' same => n,Set(TIMEOUT(absolute)=0)\n same => n,GotoIf($["', ' same => n,GotoIf($["'),
        AGI_PLAN,
    ),
    (
        "outside-unfiltered",
        third("Verbose(1,${CALLERID(num)})"),
        third("Verbose(1,${FILTER(0-9,${CALLERID(num)})})"),
    ),
    (
        "outside-unfiltered",
        third("Set(X=${PJSIP_HEADER(read,X-Case-Id)})"),
        third("Set(X=${FILTER(0-9.\\-,${PJSIP_HEADER(read,X-Case-Id)})})"),
    ),
    (
        "outside-unfiltered",
        third("Set(X=${TOUPPER(${CONNECTEDLINE(name)})})"),
        third("Set(X=${LEG})"),
    ),
    (
        "outside-unfiltered",
        PATTERN.format("_80XX").replace("dial,s", "${EXTEN}") + DIAL,
        PATTERN.format("8001").replace("dial,s", "dial,s") + DIAL,
    ),
    (
        "outside-unfiltered",
        third("WaitForCondition(#,#{CALLERID(name)},1)"),
        third("WaitForCondition(#,#{CASE},1)"),
    ),
    (
        "outside-unfiltered",
        third("NoOp(${CHANNEL(pjsip,call-id)})"),
        third("NoOp(${CHANNEL(endpoint)})"),
    ),
    (
        "outside-in-expression",
        third('GotoIf($["${CALLERID(name)}"="boss"]?s,1)'),
        third('GotoIf($["${FILTER(0-9,${CALLERID(num)})}"="110"]?s,1)'),
    ),
    (
        "outside-in-expression",
        third('WaitForCondition(#,#["#{CALLERID(name)}"="x"],1)'),
        third("GotoIf($[${LEN(${CALLERID(num)})} > 3]?s,1)"),
    ),
    (
        "outside-in-command",
        third("System(echo ${FILTER(a-z,${CALLERID(name)})})"),
        third("System(echo ${CASE})"),
    ),
    (
        "outside-in-command",
        third("Set(X=${EVAL(${CALLERID(num)})})"),
        third("Set(X=${EVAL(${Y})})"),
    ),
    ("outside-in-command", third("Set(X=${SHELL(id ${DNID})})"), third("Set(X=${SHELL(id)})")),
    (
        "outside-in-command",
        third("MixMonitor(,r(a.wav),mv a ${FILTER(0-9,${CALLERID(num)})})"),
        third("MixMonitor(,r(${CASE}.wav),mv ${CASE}.wav done/)"),
    ),
    (
        "weak-filter",
        third("Set(X=${FILTER(0-9&,${LEG})})"),
        third("Set(X=${FILTER(0-9.\\-,${LEG})})"),
    ),
    (
        "weak-filter",
        third("Set(X=${FILTER(0-9@/,${LEG})})"),
        third("Set(X=${FILTER(A-Za-z0-9+,${LEG})})"),
    ),
    ("weak-filter", third("Set(X=${FILTER(${Y},${LEG})})"), third("Set(X=${FILTER(0-9,${Y})})")),
    ("same-without-exten", THIRD.replace("exten => s,1", " same => n"), THIRD),
    ("missing-priority-1", THIRD.replace("s,1,", "s,2,"), THIRD),
    ("missing-priority-1", THIRD.replace("s,1,", "s,n,"), THIRD),
    ("missing-priority-1", THIRD + "exten => x,n,NoOp()\n", THIRD + "exten => x,1,NoOp()\n"),
    ("duplicate-priority", THIRD + "exten => s,1,NoOp()\n", THIRD + "exten => s,2,NoOp()\n"),
    ("unbalanced", third("Set(A=${B)"), third("Set(A=${B})")),
    ("bad-line", THIRD + "exten => s\n", THIRD),
    ("bad-line", THIRD + "exten => s,later,NoOp()\n", THIRD),
    ("bad-line", THIRD + "extem => s,2,NoOp()\n", THIRD),
    ("bad-line", THIRD + "exten => s,2,\n", THIRD + "exten => 8001,hint,PJSIP/8001\n"),
    ("channel-tag", THIRD.replace("; channel: third\n", ""), THIRD),
    ("channel-tag", THIRD.replace("third", "thirt"), THIRD.replace("third", "seat, third")),
    ("missing-comment", THIRD.replace("; words\n", ""), THIRD),
]


def findings(tmp_path: Path, text: str) -> list[Finding]:
    path = tmp_path / "plan.conf"
    path.write_text(text, encoding="utf-8")
    return lint(Routes(build(read_conf(path))))


@pytest.mark.parametrize(("rule", "bad", "good"), CASES)
def test_rule_finds_the_bad_and_passes_the_good(
    tmp_path: Path, rule: str, bad: str, good: str
) -> None:
    assert rule in {f.rule.id for f in findings(tmp_path, bad)}
    assert rule not in {f.rule.id for f in findings(tmp_path, good)}


def test_every_rule_has_cases_and_words_in_both_languages() -> None:
    assert {rule.id for rule in RULES} == {case[0] for case in CASES}
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert not any(CHINESE.search(words) for words in (rule.en, rule.mend_en))
        assert all(CHINESE.search(words) for words in (rule.zh, rule.mend_zh))


def test_finding_names_file_line_rule_and_mend(tmp_path: Path) -> None:
    found = [
        f for f in findings(tmp_path, third("Dial(PJSIP/1)")) if f.rule.id == "dial-no-timeout"
    ]
    assert [f.line for f in found] == [5]
    told = found[0].as_json()
    assert told["rule"] == "dial-no-timeout"
    assert told["detail"] == "leg,s,2: Dial(PJSIP/1)"
    assert str(told["file"]).endswith("plan.conf")
    assert str(found[0]).startswith(
        f"{told['file']}:5: error [dial-no-timeout] Dial 没有振铃时限 / "
    )
    assert str(told["mend"]) in str(found[0])


def test_key_of_a_telephone_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "features.conf").write_text(
        '[applicationmap]\nthree-way => *1,self,Gosub,"nowhere,s,1"\n'
    )
    keys = feature_targets(read_conf(tmp_path / "features.conf"))
    (tmp_path / "plan.conf").write_text(THIRD)
    plan = build(read_conf(tmp_path / "plan.conf"))
    found = [f for f in lint(Routes(plan, keys)) if f.rule.id == "unknown-target"]
    assert [(Path(f.file).name, f.line) for f in found] == [("features.conf", 2)]


def test_guarded_plan_has_no_findings_at_all(tmp_path: Path) -> None:
    assert findings(tmp_path, AGI_PLAN + citizen("Queue(q,cr,,,60,,seat)") + SEAT) == []


def test_way_to_the_citizens_channel_is_told(tmp_path: Path) -> None:
    text = citizen("Goto(a,s,1)") + "[a]\nexten => s,1,Goto(b,s,1)\n[b]\nexten => s,1,Hangup()\n"
    found = [f for f in findings(tmp_path, text) if f.rule.id == "citizen-hangup"]
    assert [f.detail for f in found] == ["b,s,1: Hangup(): in → a → b"]
