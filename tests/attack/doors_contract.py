"""Ground `desk`: every operation that the contract (OpenAPI) names, through each of its words.

An operation that comes later comes through this door by itself; where its body has fields that must
be there, GOOD says what stands in them beside the hostile one.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_from_bytes

from tests.attack.corpus import Hostile
from tests.attack.doors import door
from tests.attack.doors_desk import ORDER, DeskGround, new_order, refused_or_done
from tests.attack.outputs import is_plain
from tests.desk.desk_kit import Client

NOW: Final = datetime.now(UTC).isoformat()
GOOD: Final[Mapping[str, Mapping[str, Any]]] = {
    "NewOrder": ORDER,
    "Cancelling": {"reason": "重复"},
    "Redirecting": {"number": "053912345", "reason": "换号"},
    "TakingBack": {"attempt": "20260301-0001-01.1", "reason": "误发"},
    "Deciding": {"outcome": "upheld"},
    "Informing": {"who": "citizen", "channel": "phone"},
    "Acknowledging": {"by": "张三"},
    "Reporting": {"kind": "progress", "by": "张三", "text": "在路上"},
    "PassingOn": {"to": "housing", "by": "张三"},
    "DescribingCase": {"words": "水管"},
    "StartingPlan": {"plan": "突发环境事件应急预案", "body": "housing", "reported_at": NOW},
    "EndingPlan": {"reason": "结束"},
    "Pausing": {"reason": "检修"},
    "Blocking": {"number": "053912345", "reason": "骚扰"},
    "Unblocking": {"number": "053912345"},
    "NoticeForm": {"kind": "notice", "due_at": NOW},
    "CallbackForm": {"kind": "callback", "asked_at": NOW},
    "ReceiptForm": {"kind": "receipt", "handoff": "b110-1"},
}
ELSEWHERE: Final = ("/calls/", "/legs/", "/seats/")
"""What would end the call that the other doors need; these paths have doors of their own."""
BOUNDS: Final = ("type", "pattern", "enum", "format", "const", "minLength", "maxLength", "anyOf")
PRINTS: Final = "printPaper"
SHEET: Final = 3000
"""Characters of one printed field; drawing each string alone takes a minute."""
LEADERS: Final = ("fax", "cases/{case}/plan", "orders/{order}/dispute")
"""Paths that are the shift leader's."""
ENDS: Final = "cancelOrder"
"""Takes an order of its own along."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, its path with names in braces, its bodies (schema names), its query."""

    name: str
    method: str
    path: str
    schemas: tuple[str, ...]
    query: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of one body with the same bounds, which are taken or refused together. `room`: at most
    so many characters, where said; `many`: each holds a list of texts."""

    names: tuple[str, ...]
    pattern: str
    room: int
    many: bool

    def draws(self, text: str) -> bool:
        """Whether a form takes these words to be printed: they are, a sheet full at a time."""
        sound = not any("\ud800" <= character <= "\udfff" for character in text)
        return sound and len(text) <= SHEET < self.room and bool(re.search(self.pattern, text))


class Contract:
    """The contract as the desk publishes it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def operations(self) -> Iterator[Operation]:
        for path, methods in self._document["paths"].items():
            if any(part in path for part in ELSEWHERE):
                continue
            for method, one in methods.items():
                content = one.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                query = [p["name"] for p in one.get("parameters", []) if p["in"] == "query"]
                yield Operation(
                    one["operationId"],
                    method.upper(),
                    path.removeprefix("/api/v1/"),
                    tuple(_named(schema)),
                    tuple(query),
                )

    def fields(self, schema: str) -> Iterator[Fields]:
        """Fields that hold text."""
        alike: dict[str, list[str]] = {}
        for name, form in self._document["components"]["schemas"][schema]["properties"].items():
            bounds = {key: form.get(key) for key in BOUNDS}
            alike.setdefault(json.dumps(bounds, sort_keys=True), []).append(name)
        for key, names in alike.items():
            bounds = json.loads(key)
            forms = bounds["anyOf"] or [bounds]
            kinds = {one.get("type") for one in forms}
            if kinds & {"string", "array"}:
                pattern = next((one["pattern"] for one in forms if one.get("pattern")), "")
                room = max(one.get("maxLength") or 0 for one in forms)
                yield Fields(tuple(names), pattern, room, "array" in kinds)


def _named(schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2]
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _named(one)


async def _contract(ground: DeskGround) -> Contract:
    answer = await ground.client().http.get("openapi.json")
    return Contract(answer.json())


class _Push:
    """One operation, asked for with one string in one place."""

    def __init__(self, ground: DeskGround, order: str) -> None:
        self._seat, self._leader = ground.client("T-8001"), ground.client("L-8003")
        self._parts = {"case": ground.case, "order": order, "unit": "water", "name": "x.png"}
        self._parts |= {"paper": f"{ground.case}-N01", "plan": "flood"}

    def path(self, one: Operation, **parts: str) -> str:
        path = one.path
        for name, value in {**self._parts, **parts}.items():
            path = path.replace("{" + name + "}", value)
        return path

    def places(self, one: Operation) -> list[str]:
        return [name for name in self._parts if "{" + name + "}" in one.path]

    def body(self, schema: str) -> dict[str, Any]:
        ours = {"NoticeForm": {"order": self._parts["order"]}}
        for form in ("CallbackForm", "ReceiptForm"):
            ours[form] = {"case": self._parts["case"]}
        return {**GOOD.get(schema, {}), **ours.get(schema, {})}

    def client(self, one: Operation) -> Client:
        return self._leader if one.path.startswith(LEADERS) else self._seat

    async def send(self, one: Operation, path: str, body: Any = None) -> Any:
        headers = {"Idempotency-Key": secrets.token_hex(12)}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        return await self.client(one).http.request(
            one.method, path, content=content, headers=headers
        )


@door("desk", "REST: every word of the contract")
async def contract(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    found = await _contract(ground)
    push = _Push(ground, await new_order(ground))
    operations = list(found.operations())
    assert len(operations) > 25
    for one in operations:
        for schema in one.schemas:
            own = {"order": await new_order(ground)} if one.name == ENDS else {}
            answer = await push.send(one, push.path(one, **own), push.body(schema))
            assert answer.json().get("code") != "bad-request", (one, schema, answer.text)
            assert answer.status_code != 403, (one, schema, answer.text)

    async def all_of(hostile: Hostile) -> None:
        part = quote_from_bytes(hostile.raw, safe="")[:6000]
        ended = {"order": await new_order(ground)}
        for one in operations:
            own = ended if one.name == ENDS else {}
            for schema in one.schemas:
                for at in found.fields(schema):
                    if one.name == PRINTS and at.draws(hostile.text):
                        continue
                    words = [hostile.text] if at.many else hostile.text
                    body = {**push.body(schema), **dict.fromkeys(at.names, words)}
                    answer = await push.send(one, push.path(one, **own), body)
                    await refused_or_done(answer, hostile)
            asked = [push.path(one, **{name: part}) for name in push.places(one)]
            asked += [f"{push.path(one)}?{name}={part}" for name in one.query]
            for path in asked:
                good = push.body(one.schemas[0]) if one.schemas else None
                answer = await push.send(one, path, good)
                assert answer.status_code < 500, (hostile, one, answer.text)
                if answer.status_code >= 400:
                    assert is_plain(answer.text), (hostile, answer.text)

    await ground.each(strings, all_of)
    (printing,) = [one for one in operations if one.name == PRINTS]
    for schema in printing.schemas:
        for at in found.fields(schema):
            for words in _sheets_of(one.text for one in strings if at.draws(one.text)):
                body = {**push.body(schema), **dict.fromkeys(at.names, words)}
                answer = await push.send(printing, push.path(printing), body)
                assert answer.status_code == 201, answer.text


def _sheets_of(texts: Iterable[str]) -> Iterator[str]:
    sheet = ""
    for text in texts:
        if len(sheet) + len(text) > SHEET:
            yield sheet
            sheet = ""
        sheet += text + "\n"
    if sheet:
        yield sheet
