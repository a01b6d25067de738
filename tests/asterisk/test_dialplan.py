"""The plan is loaded as Asterisk would load it: `n`, `same`, labels, patterns, includes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from bridge.asterisk.conf import read_conf
from bridge.asterisk.dialplan import Dialplan, Extension, build, matches
from bridge.asterisk.routes import Routes, feature_targets, options, targets


def plan_of(text: str) -> Dialplan:
    descriptor, name = tempfile.mkstemp(suffix=".conf")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        return build(read_conf(Path(name)))
    finally:
        Path(name).unlink()


def found(plan: Dialplan, context: str, number: str) -> Extension:
    extension = plan.find(context, number)
    assert extension is not None
    return extension


def test_priorities_labels_and_arguments_are_read() -> None:
    plan = plan_of(
        "[x]\nexten => 110,1,Answer\n same => n(ask),Set(A=${B(c,d)},e)\n same => n,Goto,x,1\n"
    )
    steps = found(plan, "x", "110").steps
    assert [(s.number, s.label, s.app, s.args) for s in steps] == [
        (1, "", "Answer", ""),
        (2, "ask", "Set", "A=${B(c,d)},e"),
        (3, "", "Goto", "x,1"),
    ]
    assert found(plan, "x", "110").find("ask") == steps[1]
    assert found(plan, "x", "110").find("3") == steps[2]
    assert plan.mistakes == []


def test_same_belongs_to_the_extension_above_and_n_counts_lines() -> None:
    plan = plan_of("[x]\nexten => a,1,A()\n same => 5,B()\n same => n+2,C()\nexten => b,n,D()\n")
    assert sorted(found(plan, "x", "a").priorities) == [1, 5, 8]
    assert sorted(found(plan, "x", "b").priorities) == [9]
    assert [m.kind for m in plan.mistakes] == ["missing-priority-1"]


def test_context_written_twice_is_one() -> None:
    plan = plan_of("; first\n[x]\nexten => a,1,A()\n[y]\n; more\n[x]\nexten => b,1,B()\n")
    assert set(plan.contexts["x"].extensions) == {"a", "b"}
    assert plan.contexts["x"].comment == ("first", "more")


def test_globals_fill_extensions_and_hints_are_no_steps() -> None:
    plan = plan_of("[globals]\nDESK=110\n[x]\nexten => ${DESK},1,A()\nexten => 8,hint,PJSIP/8\n")
    assert found(plan, "x", "110").steps
    assert plan.contexts["x"].extensions["8"].hint == "PJSIP/8"
    assert plan.mistakes == []


def test_channel_tag_is_read_apart_from_the_words() -> None:
    plan = plan_of("; channel: seat, third\n; what for\n[x]\nexten => a,1,A()\n")
    assert plan.contexts["x"].channels == ("seat", "third")
    assert plan.contexts["x"].comment == ("what for",)


@pytest.mark.parametrize(
    ("pattern", "number", "fits"),
    [
        ("_80XX", "8001", True),
        ("_80XX", "80012", False),
        ("_NZX", "219", True),
        ("_NZX", "119", False),
        ("_[1-35]0", "50", True),
        ("_[1-35]0", "40", False),
        ("_1.", "1", False),
        ("_1!", "1", True),
        ("_1.", "123", True),
        ("_dialed-!", "dialed-BUSY", True),
        ("_[9-0]", "5", False),
        ("_X[", "1[", True),
    ],
)
def test_patterns_fit_what_asterisk_would_send_there(pattern: str, number: str, fits: bool) -> None:
    assert matches(pattern, number) is fits


def test_narrow_patterns_and_own_numbers_come_before_wide_ones_and_includes() -> None:
    plan = plan_of(
        "[x]\ninclude => y\nexten => _X.,1,Wide()\nexten => _11X,1,Narrow()\nexten => 110,1,Own()\n"
        "[y]\ninclude => x\nexten => abc,1,Other()\n"
    )
    apps = [found(plan, "x", n).steps[0].app for n in ("110", "119", "1190", "abc")]
    assert apps == ["Own", "Narrow", "Wide", "Other"]
    assert plan.find("x", "nobody") is None


@pytest.mark.parametrize(
    ("step", "leads"),
    [
        ("Goto(x,a,1)", ["x,a,1"]),
        ("Goto(a,1)", [",a,1"]),
        ("Goto(again)", [",s,again"]),
        ("Gosub(x,s,1(${A},b))", ["x,s,1"]),
        ("Gosub(x,s,${L(1)}(a))", ["x,s,${L(1)}"]),
        ('GotoIf($["${A}:${B}"="x:y"]?x,a,1:b,2)', ["x,a,1", ",b,2"]),
        ("GotoIf($[1]?:no)", [",s,no"]),
        ("ExecIf($[1]?Goto(x,a,1):Gosub(y,b,2(z)))", ["x,a,1", "y,b,2"]),
        ("Queue(q,c,,,60,,x)", ["x,s,1"]),
        ("Queue(q,c,,,60,,x^a^1)", ["x,a,1"]),
        ("Dial(PJSIP/1,10,gU(x^arg)b(y^s^1(z))G(v^s^1))", ["x,s,1", "y,s,1", "v,s,1"]),
        ("Bridge(${C},F(x^s^1))", ["x,s,1"]),
        ("Originate(PJSIP/1,exten,x,s,1,20)", ["x,s,1"]),
        ("Originate(PJSIP/1,app,Wait,9)", []),
        ("ChannelRedirect(${C},x,s,1)", ["x,s,1"]),
        ("Answer()", []),
    ],
)
def test_targets_of_a_step(step: str, leads: list[str]) -> None:
    plan = plan_of(f"[z]\nexten => s,1,{step}\n")
    got = [f"{t.context},{t.exten},{t.label}" for t in targets(found(plan, "z", "s").steps[0])]
    assert got == leads


def test_options_are_cut_into_letters_with_their_arguments() -> None:
    assert options("cr(ring)U(x^f(1))") == {"c": "", "r": "ring", "U": "x^f(1)"}
    assert options("") == {}


def test_citizens_contexts_are_those_marked_reached_and_sent_to() -> None:
    plan = plan_of(
        "; channel: citizen\n[in]\ninclude => more\nexten => s,1,Goto(mid,s,1)\n"
        "[mid]\nexten => s,1,Queue(q,c,,,60,,seat)\n[more]\n[seat]\nexten => s,1,Return()\n"
        "[third]\nexten => s,1,Bridge(${CITIZEN},F(met^s^1))\n[met]\n"
    )
    assert Routes(plan).citizen() == {
        "in": "in",
        "mid": "in → mid",
        "more": "in → more",
        "met": "met",
    }


def test_keys_of_features_conf_lead_somewhere(tmp_path: Path) -> None:
    (tmp_path / "features.conf").write_text(
        '[applicationmap]\nthree-way => *1,self/callee,Gosub,"x,s,1"\nodd => *2\n'
    )
    keys = feature_targets(read_conf(tmp_path / "features.conf"))
    assert [(str(t), t.same_channel) for t in keys] == [("x,s,1", False)]
