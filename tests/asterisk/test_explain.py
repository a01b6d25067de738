"""`dialplan explain` tells the whole way of a call: question, fallback, queue, words, endings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.asterisk.explain import Part, explain, render
from bridge.asterisk.explain_steps import Step
from bridge.asterisk.lint import lint
from bridge.asterisk.plan_files import PlanFiles, read_plan
from bridge.share import share

EXTENSIONS = """[globals]
QUEUE=q1
; channel: citizen
; Everybody enters here.
[from-trunk]
exten => 110,1,Goto(in,s,1)
exten => _9XX,1,Goto(in,s,1)
; channel: citizen
; The way in.
[in]
exten => s,1,UserEvent(Arrived)
 same => n,GotoIf($[${EPOCH} - 0${GLOBAL(HEARTBEAT)} > 4]?answer)
 same => n,WaitForCondition(#,#["#{ROUTE}"!=""],0.4,0.02)
 same => n(answer),Answer()
 same => n,MixMonitor(,r(${CASE}.wav))
 same => n,Queue(${QUEUE},cr,,,60,,seat)
 same => n,Playback(bridge110/busy)
 same => n,GotoIf($["${QUEUESTATUS}"="CONTINUE"]?goodbye,s,1:s,1)
; channel: citizen
; The end.
[goodbye]
exten => s,1,Hangup(16)
; channel: seat
; Who answered.
[seat]
exten => s,1,Set(DYNAMIC_FEATURES=three-way)
 same => n,Return()
; channel: seat
; The key.
[three-way]
exten => s,1,Originate(PJSIP/12345,exten,leg,s,1,20)
 same => n,Return()
; channel: third
; Who must say yes.
[leg]
exten => s,1,Read(KEY,bridge110/press-1,1,,3,3)
 same => n,Hangup()
"""


@pytest.fixture
def files(tmp_path: Path) -> PlanFiles:
    (tmp_path / "extensions.conf").write_text(EXTENSIONS)
    (tmp_path / "queues.conf").write_text("[q1]\nstrategy = leastrecent\ntimeout = 12\n")
    (tmp_path / "features.conf").write_text(
        '[applicationmap]\nthree-way => *1,self,Gosub,"three-way,s,1"\n'
    )
    (tmp_path / "prompts.toml").write_text('[prompts.busy]\nzh = "请稍候"\nen = "Please wait"\n')
    return read_plan([tmp_path], prompts=tmp_path / "prompts.toml")


def step(parts: list[Part], context: str, kind: str) -> Step:
    return next(s for p in parts if p.context == context for s in p.steps if s.kind == kind)


def test_every_context_that_the_call_may_come_to_is_told_once(files: PlanFiles) -> None:
    parts = explain("110", files)
    assert [(p.context, p.whose) for p in parts] == [
        ("from-trunk", "citizen"),
        ("in", "citizen"),
        ("goodbye", "citizen"),
        ("seat", "seat"),
        ("three-way", "seat"),
        ("leg", "third"),
    ]
    assert parts[1].comment == "The way in."


def test_question_to_the_daemon_is_told_with_its_bound(files: PlanFiles) -> None:
    asked = step(explain("110", files), "in", "question")
    assert asked.data["event"] == "Arrived"
    assert asked.data["bound_s"] == "0.4"
    assert "最多等 0.4 秒" in asked.zh
    assert "without an answer it goes on" in asked.en


def test_queue_is_told_with_its_settings_and_asterisks_own_for_the_rest(files: PlanFiles) -> None:
    queue = step(explain("110", files), "in", "queue")
    assert queue.data["queue"] == "q1"
    assert queue.data["bound_s"] == "60"
    settings = queue.data["settings"]
    assert isinstance(settings, dict)
    assert (settings["strategy"], settings["timeout"], settings["retry"]) == (
        "leastrecent",
        "12",
        "5",
    )
    assert "seats" not in queue.data


def test_seats_of_the_moment_stand_beside_the_queue(files: PlanFiles) -> None:
    seats: list[dict[str, object]] = [
        {"seat": "8001", "state": "ready"},
        {"seat": "8002", "paused": True},
    ]
    queue = step(explain("110", files, seats=seats), "in", "queue")
    assert queue.data["seats"] == seats
    assert "8001(ready) 8002(paused)" in queue.zh
    nobody = step(explain("110", files, seats=[]), "in", "queue")
    assert "无人签入" in nobody.zh


def test_words_recording_keys_and_endings_are_told(files: PlanFiles) -> None:
    parts = explain("110", files)
    assert step(parts, "in", "prompt").zh == "播放“请稍候”"
    assert step(parts, "in", "prompt").en == "says “Please wait”"
    assert step(parts, "in", "record").data["track"] == "${CASE}.wav"
    assert step(parts, "leg", "key").data["bound_s"] == "3"
    assert step(parts, "three-way", "ring").data["context"] == "leg"
    assert step(parts, "goodbye", "end").zh.startswith("挂断")
    assert step(parts, "in", "branch").data["targets"] == ["answer"]


def test_pattern_of_a_number_is_followed(files: PlanFiles) -> None:
    assert explain("911", files)[0].extension == "_9XX"


def test_number_without_a_place_and_unknown_context_are_told(files: PlanFiles) -> None:
    with pytest.raises(LookupError, match="no place for 119"):
        explain("119", files)
    with pytest.raises(LookupError, match=r"no context \[nowhere\]; there are: "):
        explain("110", files, context="nowhere")


@pytest.mark.parametrize("number", ["", "11a", "110&1", "１１０", "1" * 33, "110\n"])
def test_what_is_no_number_is_refused(files: PlanFiles, number: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        explain(number, files)


def test_text_for_people_has_both_languages_and_places(files: PlanFiles) -> None:
    text = render(explain("110", files))
    assert "[in] s · 群众 / citizen · " in text
    assert "extensions.conf:10" in text or "extensions.conf:11" in text
    assert "接听 / answers" in text


def test_plans_of_this_system_have_no_findings() -> None:
    shipped = share("config") / "asterisk"
    roots = [share("dialplans").parent, shipped]
    found = lint(read_plan([shipped], roots=roots, examples=True).routes)
    assert [str(finding) for finding in found] == []


def test_plans_of_this_system_lead_110_to_a_queue_for_as_long_as_the_citizen_stays() -> None:
    shipped = share("config") / "asterisk"
    roots = [share("dialplans").parent, shipped]
    parts = explain("110", read_plan([shipped], roots=roots, examples=True))
    told = {part.context for part in parts}
    assert {"from-trunk", "citizen-queue", "citizen-alone", "citizen-held", "goodbye"} <= told
    queue = step(parts, "citizen-queue", "queue")
    settings = queue.data["settings"]
    assert isinstance(settings, dict)
    assert settings["strategy"] == "leastrecent"
