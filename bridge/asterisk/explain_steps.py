"""The words for single steps of a plan, zh-CN first. Pure, one short function an application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.asterisk.conf import Conf, Section
from bridge.asterisk.dialplan import Priority
from bridge.asterisk.expression import with_globals
from bridge.asterisk.lint_hit import asks_heartbeat, assignment, before
from bridge.asterisk.routes import (
    Routes,
    argument,
    branches,
    condition,
    dial_arguments,
    inner_steps,
    options,
)

QUEUE_SETTINGS: Final = {
    "strategy": "roundrobin",
    "timeout": "15",
    "retry": "5",
    "wrapuptime": "0",
    "ringinuse": "yes",
    "joinempty": "yes",
    "leavewhenempty": "no",
    "autopause": "no",
}
"""Settings that decide who is rung, with Asterisk's own values where the file has none."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that matters to a call."""

    kind: str
    number: int
    place: str
    zh: str
    en: str
    data: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number:>3}  {self.zh} / {self.en}"

    def as_json(self) -> dict[str, object]:
        """The step for programs."""
        return {
            "kind": self.kind,
            "priority": self.number,
            "place": self.place,
            "text_zh": self.zh,
            "text": self.en,
            **self.data,
        }


Told = tuple[str, str, str, Mapping[str, object]] | None
"""kind, zh, en, data; None where the step is of no interest to people."""


class Teller:
    """Puts steps into words, with the globals filled in and the settings of queues looked up."""

    def __init__(
        self,
        routes: Routes,
        queues: Conf | None = None,
        prompts: Mapping[str, Mapping[str, str]] | None = None,
        seats: Sequence[Mapping[str, object]] | None = None,
    ) -> None:
        self._routes = routes
        self._queues = queues
        self._prompts = prompts or {}
        self._seats = seats
        self._tellers: dict[str, Callable[[Priority], Told]] = {
            "answer": lambda _: ("answer", "接听", "answers", {}),
            "ringing": lambda _: ("sound", "对方听到回铃音", "the caller hears ringing", {}),
            "waitforcondition": self._question,
            "agi": self._agi,
            "queue": self._queue,
            "dial": self._dial,
            "originate": self._originate,
            "playback": self._words,
            "background": self._words,
            "read": self._read,
            "mixmonitor": self._record,
            "playtones": lambda s: ("sound", f"播放提示音 {s.args}", f"tone {s.args}", {}),
            "wait": self._wait,
            "set": self._set,
            "goto": self._goto,
            "gosub": self._goto,
            "gotoif": self._branch,
            "gosubif": self._branch,
            "bridgeadd": self._join,
            "bridge": self._join,
            "userevent": self._event,
            "celgenuserevent": self._note,
            "hangup": lambda _: ("end", "挂断,通话结束", "hangs up: the call ends", {}),
            "return": lambda _: ("return", "返回", "goes back to where it came from", {}),
            "chanspy": lambda _: ("listen", "旁听", "listens to the conversation", {}),
        }

    def tell(self, step: Priority) -> Step | None:
        """The step in words, or None where it only prepares others."""
        filled = self._filled(step)
        told = self._tellers.get(step.app.lower(), self._other)(filled)
        if told is None:
            return None
        kind, zh, en, data = told
        return Step(kind, step.number, str(step.place), zh, en, data)

    def _filled(self, step: Priority) -> Priority:
        if step.app.lower() in ("gotoif", "gosubif"):
            return step  # a condition is better read as it was written
        return replace(step, args=with_globals(step.args, self._routes.plan.globals))

    def _other(self, step: Priority) -> Told:
        inner = [f"{s.app}({s.args})" for s in inner_steps(step)] if "xec" in step.app else []
        text = " | ".join(inner) or f"{step.app}({step.args})"
        skipped = ("noop", "verbose", "log", "stopplaytones", "execif", "msetvar")
        return None if step.app.lower() in skipped and not inner else ("act", text, text, {})

    def _question(self, step: Priority) -> Told:
        """A question to the daemon stands behind a look at its heartbeat; mere waiting does not."""
        bound, until = argument(step, 2), argument(step, 1)
        above = before(self._routes, step)
        asked = [argument(s, 0) for s in above if s.app.lower() == "userevent"]
        if not asked or not any(map(asks_heartbeat, above)):
            zh, en = f"等到 {until},最多 {bound} 秒", f"waits until so, {bound} s at most"
            return "wait", zh, en, {"until": until, "bound_s": bound}
        return (
            "question",
            f"询问守护进程({asked[-1]}),最多等 {bound} 秒,没有答复照常往下走",
            f"asks the daemon ({asked[-1]}), {bound} s at most; without an answer it goes on",
            {"event": asked[-1], "bound_s": bound, "until": until},
        )

    def _agi(self, step: Priority) -> Told:
        limit = self._assigned(step, "TIMEOUT(ABSOLUTE)") or "?"
        return (
            "question",
            f"FastAGI {argument(step, 0).partition('?')[0]},最多 {limit} 秒,失败照常往下走",
            f"FastAGI, {limit} s at most; whatever fails, it goes on",
            {"bound_s": limit},
        )

    def _assigned(self, step: Priority, name: str) -> str:
        found = [assignment(s) for s in before(self._routes, step)]
        return next((value for key, value in reversed(found) if key.upper() == name), "")

    def _queue(self, step: Priority) -> Told:
        name, total = argument(step, 0), argument(step, 4)
        section: Section | None = self._queues.section(name) if self._queues else None
        settings = {
            key: section.get(key, default) if section else default
            for key, default in QUEUE_SETTINGS.items()
        }
        heard = ("回铃音", "ringing") if "r" in options(argument(step, 1)) else ("等待音", "music")
        seats = self._seats_now()
        told = "" if section else "(queues.conf 中没有此队列 / not in queues.conf)"
        zh = (
            f"进入队列 {name}{told},最多 {total} 秒,听到{heard[0]};"
            f"策略 {settings['strategy']},每席振铃 {settings['timeout']} 秒,"
            f"间隔 {settings['retry']} 秒,话后 {settings['wrapuptime']} 秒{seats[0]}"
        )
        en = (
            f"queue {name}, {total} s at most, hears {heard[1]}; {settings['strategy']}, "
            f"each seat {settings['timeout']} s, retry {settings['retry']} s{seats[1]}"
        )
        data: dict[str, object] = {"queue": name, "bound_s": total, "settings": settings}
        if self._seats is not None:
            data["seats"] = [dict(seat) for seat in self._seats]
        return "queue", zh, en, data

    def _seats_now(self) -> tuple[str, str]:
        if self._seats is None:
            return "", ""
        named = [
            f"{seat.get('seat') or seat.get('name') or '?'}"
            f"({'paused' if seat.get('paused') else seat.get('state') or '?'})"
            for seat in self._seats
        ]
        text = " ".join(named)
        return (
            f";现在的坐席:{text or '无人签入'}",
            f"; seats now: {text or 'nobody is logged on'}",
        )

    def _dial(self, step: Priority) -> Told:
        target, limit, given = dial_arguments(step)
        after = "g" in options(given)
        then = (
            ("不接或挂机后照常往下走", "then goes on") if after else ("随对方结束", "ends with it")
        )
        return (
            "ring",
            f"呼叫 {target},振铃 {limit} 秒;{then[0]}",
            f"rings {target} for {limit} s; {then[1]}",
            {"target": target, "bound_s": limit, "goes_on": after},
        )

    def _originate(self, step: Priority) -> Told:
        target, where, limit = (argument(step, index) for index in (0, 2, 5))
        return (
            "ring",
            f"另呼 {target},振铃 {limit} 秒,接通后到 [{where}]",
            f"calls {target} for {limit} s; who answers comes to [{where}]",
            {"target": target, "context": where, "bound_s": limit},
        )

    def _spoken(self, names: str) -> tuple[str, str]:
        known = [self._prompts.get(n.rpartition("/")[2], {}) for n in names.split("&")]
        return (
            " ".join(words.get("zh", "") for words in known).strip() or names,
            " ".join(words.get("en", "") for words in known).strip() or names,
        )

    def _words(self, step: Priority) -> Told:
        zh, en = self._spoken(argument(step, 0))
        return "prompt", f"播放“{zh}”", f"says “{en}”", {"sound": argument(step, 0)}

    def _read(self, step: Priority) -> Told:
        zh, en = self._spoken(argument(step, 1))
        bound, tries = argument(step, 5), argument(step, 4) or "1"
        return (
            "key",
            f"播放“{zh}”,等按键 {bound} 秒,{tries} 次",
            f"says “{en}”, waits {bound} s for a key, {tries} time(s)",
            {"sound": argument(step, 1), "bound_s": bound, "tries": tries},
        )

    def _record(self, step: Priority) -> Told:
        track = options(argument(step, 1)).get("r", argument(step, 0))
        return "record", f"本支路开始录音:{track}", f"records this leg: {track}", {"track": track}

    def _wait(self, step: Priority) -> Told:
        bound = argument(step, 0)
        return "wait", f"等 {bound} 秒", f"waits {bound} s", {"bound_s": bound}

    def _set(self, step: Priority) -> Told:
        name, value = assignment(step)
        if name.upper() == "TIMEOUT(ABSOLUTE)":
            zh = f"总时限 {value} 秒" if value != "0" else "取消总时限"
            en = f"time limit {value} s" if value != "0" else "time limit lifted"
            return "timer", zh, en, {"bound_s": value}
        if name.lstrip("_").upper() == "DYNAMIC_FEATURES":
            return "keys", f"本话机可用功能键:{value}", f"this telephone has the key {value}", {}
        if name.upper() == "QUEUE_PRIO":
            return "priority", f"排队优先级 {value}", f"queue priority {value}", {}
        return None

    def _goto(self, step: Priority) -> Told:
        going = "goes to" if step.app.lower() == "goto" else "runs"
        return "goto", f"转到 {step.args}", f"{going} {step.args}", {"target": step.args}

    def _branch(self, step: Priority) -> Told:
        ways = branches(step.args)
        asked = condition(step.args)
        return (
            "branch",
            f"若 {asked} 则转到 {' 否则 '.join(ways)}",
            f"if so: {' else '.join(ways)}",
            {"condition": asked, "targets": ways},
        )

    def _join(self, step: Priority) -> Told:
        other = argument(step, 0)
        return "join", f"与 {other} 通话", f"joins {other}", {"channel": other}

    def _event(self, step: Priority) -> Told:
        name = argument(step, 0)
        return "tell", f"通知守护进程:{name}", f"tells the daemon: {name}", {"event": name}

    def _note(self, step: Priority) -> Told:
        name = argument(step, 0)
        return "note", f"记入通话记录:{name}", f"noted in the call record: {name}", {"note": name}
