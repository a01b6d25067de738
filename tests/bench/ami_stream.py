"""The event stream of the AMI benches: Asterisk-22-shaped, 49 events a call, Chinese names.

The make-up is that of libraries.md section 2 (463 bytes an event on average). Nothing in it is
recorded from people: numbers and names are made from the call's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAKE_UP: Final = (
    ("Newchannel", 2),
    ("VarSet", 10),
    ("Newexten", 8),
    ("Newstate", 4),
    ("NewCallerid", 2),
    ("NewConnectedLine", 2),
    ("QueueCallerJoin", 1),
    ("AgentCalled", 1),
    ("DialBegin", 1),
    ("DialState", 1),
    ("DialEnd", 1),
    ("AgentConnect", 1),
    ("QueueMemberStatus", 2),
    ("BridgeCreate", 1),
    ("BridgeEnter", 2),
    ("RTCPSent", 1),
    ("RTCPReceived", 1),
    ("ConfbridgeJoin", 1),
    ("ConfbridgeLeave", 1),
    ("BridgeLeave", 2),
    ("BridgeDestroy", 1),
    ("QueueCallerLeave", 1),
    ("Hangup", 2),
)
EVENTS_A_CALL: Final = sum(count for _, count in MAKE_UP)
NAMES: Final = tuple(name for name, _ in MAKE_UP)

_SURNAMES: Final = "王李张刘陈杨黄赵周吴"
_DEST: Final = ("DialBegin", "DialState", "DialEnd", "AgentCalled", "AgentConnect")
_EXTRA: Final = {
    "VarSet": (("Variable", "CDR(userfield)"), ("Value", "来电登记 {case} 朝阳区建国路八十八号")),
    "Newexten": (
        ("Extension", "s"),
        ("Application", "Gosub"),
        ("AppData", "seat-joined,s,1({case})"),
    ),
    "DialBegin": (("DialString", "8001/sip:8001@10.1.2.3:5060"),),
    "DialEnd": (("DialStatus", "ANSWER"),),
    "BridgeEnter": (("BridgeUniqueid", "b-{case}"), ("BridgeNumChannels", "2")),
    "BridgeLeave": (("BridgeUniqueid", "b-{case}"), ("BridgeNumChannels", "1")),
    "QueueCallerJoin": (("Queue", "q110"), ("Position", "1"), ("Count", "1")),
    "QueueCallerLeave": (("Queue", "q110"), ("Position", "1"), ("Count", "0")),
    "QueueMemberStatus": (("Queue", "q110"), ("Interface", "PJSIP/8001"), ("Status", "2")),
    "AgentCalled": (("Queue", "q110"), ("Interface", "PJSIP/8001"), ("MemberName", "一号台")),
    "AgentConnect": (
        ("Queue", "q110"),
        ("HoldTime", "3"),
        ("RingTime", "2"),
        ("MemberName", "一号台"),
    ),
    "RTCPSent": (("To", "10.1.2.3:4001"), ("SSRC", "0x1f2e3d4c"), ("SentPackets", "250")),
    "RTCPReceived": (("From", "10.1.2.3:4001"), ("SSRC", "0x1f2e3d4c"), ("RTT", "0.0021")),
    "Hangup": (("Cause", "16"), ("Cause-txt", "Normal Clearing")),
}


def stream(calls: int, *, variables: bool = False) -> bytes:
    """The bytes of that many calls; `variables` adds the three `ChanVariable` of our account."""
    return "".join(event for number in range(calls) for event in _call(number, variables)).encode()


def _call(number: int, variables: bool) -> Iterator[str]:
    case = f"1795490731.{number * 2}"
    for name, count in MAKE_UP:
        for turn in range(count):
            yield _event(name, turn % 2, number, case, variables)


def _event(name: str, leg: int, number: int, case: str, variables: bool) -> str:
    lines = [f"Event: {name}", "Privilege: call,all", "Timestamp: 1795490731.123456"]
    lines += _channel(number, leg, case)
    if name in _DEST:
        lines += [f"Dest{line}" for line in _channel(number, 1, case)[:8]]
    if variables:
        lines += [f"ChanVariable: CASE={case}", "ChanVariable: LEG=seat", "ChanVariable: HANDOFF="]
    lines += [f"{key}: {value.format(case=case)}" for key, value in _EXTRA.get(name, ())]
    return "\r\n".join(lines) + "\r\n\r\n"


def _channel(number: int, leg: int, case: str) -> list[str]:
    person = f"{_SURNAMES[number % 10]}先生（第{number}号来电）"
    return [
        f"Channel: PJSIP/{('trunk', '8001')[leg]}-{number:08x}",
        f"Uniqueid: 1795490731.{number * 2 + leg}",
        f"Linkedid: {case}",
        "ChannelState: 6",
        "ChannelStateDesc: Up",
        f"CallerIDNum: 138{number:08d}",
        f"CallerIDName: {person}",
        "ConnectedLineNum: 8001",
        "ConnectedLineName: 一号台",
        "Language: zh",
        "AccountCode: ",
        "Context: police110",
        "Exten: 110",
        "Priority: 4",
    ]
