"""Every message that is sent is as the published contract says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from bridge.desk.contract import asyncapi
from bridge.domain.conversation import COMMANDS, E
from bridge.flows.cti_events import CALL_EVENTS, EVENT_TYPES, SEAT_EVENTS
from tests.desk.desk_kit import Client, Events, Kit, running, until


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A schema in its document, so that references are found."""
    whole = {**schema, "components": document["components"]}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def _check_message(document: dict[str, Any], message: dict[str, Any]) -> str:
    name = message.get("op") or message["type"]
    payload = document["components"]["messages"][name]["payload"]
    _validator(document, payload).validate(message)
    return str(name)


async def _hold(kit: Kit, client: Client, call: str, _: str) -> None:
    await client.do("POST", f"calls/{call}/hold", wait=3)
    await client.do("POST", f"calls/{call}/retrieve", wait=3)


async def _consult(kit: Kit, client: Client, call: str, _: str) -> None:
    await client.do("POST", f"calls/{call}/consult", {"to": "12345"}, wait=3)
    await until(lambda: kit.state(call) == "consulting")
    await client.do("POST", f"calls/{call}/conference", wait=3)
    await until(lambda: kit.state(call) == "conferenced")


async def _busy(kit: Kit, client: Client, call: str, _: str) -> None:
    kit.switch.behaviour["6001"] = "busy"
    await client.do("POST", f"calls/{call}/three-way", {"to": "6001"}, wait=3)


async def _mute(kit: Kit, client: Client, call: str, leg: str) -> None:
    await client.do("PUT", f"legs/{leg}/mute", {"on": True}, wait=3)
    kit.view.ephemeral("leg.talking", {"leg": leg, "on": True}, call=call)


async def _intrude(kit: Kit, _: Client, call: str, __: str) -> None:
    leader = kit.client("L-8003")
    await leader.do("POST", f"calls/{call}/intrude", {"mode": "whisper"}, wait=3)


async def _leave(kit: Kit, client: Client, _: str, leg: str) -> None:
    await client.do("DELETE", f"legs/{leg}", wait=3)


STEPS: tuple[Callable[[Kit, Client, str, str], Awaitable[None]], ...] = (
    _hold,
    _mute,
    _intrude,
    _busy,
    _consult,
    _leave,
)


async def _story(kit: Kit, events: Events) -> set[str]:
    """A call in which most things happen; the names of all messages of it, each checked."""
    client, document = kit.client(), await kit.client().get("asyncapi.json")
    await client.do("PUT", "seats/8001/agent", {"agent": "王"})
    call, leg = await kit.talking()
    for step in STEPS:
        await step(kit, client, call, leg)
    kit.view.link("asterisk", {"state": "stalled", "words": "慢", "reason": ""})
    kit.view.alarm("ami.event_loss", "一个事件丢失")
    kit.view.alarm("ami.event_loss", "")
    await events.do("HoldCall", call="1.1")
    await events.do("LogOff", seat="8001")
    kit.switch.hangs_up(call)
    await events.of_type("call.cleared")
    await events.of_type("heartbeat")
    return {_check_message(document, message) for message in [events.welcome, *events.seen]}


async def test_every_event_is_as_the_contract_says(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.talking("8002", "13900139000")
        async with kit.cti("L-8003") as events:
            names = await _story(kit, events)
    assert {
        "welcome",
        "accepted",
        "refused",
        "call.offered",
        "call.originated",
        "call.delivered",
        "call.established",
        "call.held",
        "call.retrieved",
        "call.conferenced",
        "call.transferred",
        "call.connectionCleared",
        "call.cleared",
        "call.state",
        "leg.muted",
        "leg.talking",
        "handoff.requested",
        "handoff.ended",
        "agent.loggedOn",
        "agent.busy",
        "link.asterisk",
        "alarm.raised",
        "alarm.cleared",
        "heartbeat",
    } <= names


def test_the_contract_refuses_an_event_with_a_member_missing_or_of_another_type() -> None:
    document = asyncapi()
    schema = document["components"]["messages"]["heartbeat"]["payload"]
    good = {
        "v": 1,
        "epoch": "k3f9",
        "seq": 5,
        "at": "2026-11-21T11:20:33.412+08:00",
        "type": "heartbeat",
        "case": None,
        "call": None,
        "leg": None,
        "seat": None,
        "cause": None,
        "data": {"now": "2026-11-21T11:20:33.412+08:00", "seq": 5},
    }
    check = _validator(document, schema)
    assert check.is_valid(good)
    assert not any(check.is_valid({k: v for k, v in good.items() if k != name}) for name in good)
    assert not check.is_valid({**good, "seq": "5"})
    assert not check.is_valid({**good, "data": {}})


def test_every_event_type_is_in_the_contract_and_every_reference_is_there() -> None:
    document = asyncapi()
    assert set(EVENT_TYPES) <= set(document["components"]["messages"])
    assert {name for name, _ in CALL_EVENTS.values()} | set(SEAT_EVENTS) <= set(EVENT_TYPES)
    for reference in _references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict), reference


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    if isinstance(value, list):
        return [found for part in value for found in _references(part)]
    return []


async def test_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client("L-8003")
        kit.view.link("asterisk", {"state": "up"})
        call, leg = await kit.talking()
        document = await client.get("openapi.json")
        body = {"to": "12345"}
        asked = [
            ("/calls/{call}/three-way", await client.do("POST", f"calls/{call}/three-way", body)),
            ("/calls/{call}/hold", await client.do("POST", f"calls/{call}/hold")),
            ("/calls/{call}/hold", await client.do("POST", f"calls/{call}/hold", key=None)),
            ("/calls/{call}/consult", await client.do("POST", f"calls/{call}/consult", {})),
            ("/legs/{leg}/mute", await client.do("PUT", f"legs/{leg}/mute", {"on": True}, wait=3)),
            (
                "/seats/{seat}/agent",
                await client.do("PUT", "seats/8003/agent", {"agent": "a"}),
            ),
        ]
        for path in ("snapshot", "calls", "seats", "targets", "health"):
            asked.append((f"/{path}", await client.http.get(path)))
        asked.append(("/calls/{call}", await client.http.get(f"calls/{call}")))
        asked.append(("/calls/{call}", await client.http.get("calls/1.1")))
        asked.append(("/seats/{seat}", await client.http.get("seats/8001")))
        for path, answer in asked:
            operation = document["paths"][f"/api/v1{path}"][answer.request.method.lower()]
            content = operation["responses"][str(answer.status_code)]["content"]
            schema = content[answer.headers["content-type"]]["schema"]
            _validator(document, schema).validate(answer.json())
        assert {answer.status_code for _, answer in asked} == {200, 202, 400, 404, 409}


async def test_every_service_is_in_the_contract_by_its_csta_name(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        document = await kit.client().get("openapi.json")
        named = {
            operation.get("operationId")
            for methods in document["paths"].values()
            for operation in methods.values()
        }
        services = {service.value.partition(" ")[0] for service in COMMANDS}
        assert E.THREE_WAY.value in services
        assert services | {"LogOn", "LogOff", "SetAgentState"} <= named
        for methods in document["paths"].values():
            for method, operation in methods.items():
                if method != "get":
                    assert any(p["name"] == "Idempotency-Key" for p in operation["parameters"])
