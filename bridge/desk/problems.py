"""Refusals as RFC 9457 problem documents: the one place where a code becomes an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.domain.errors import Refused
from bridge.domain.journal import Json

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "wrong-state": 409,
    "no-such-call": 404,
    "no-such-leg": 404,
    "no-such-target": 404,
    "no-such-seat": 404,
    "group-takes-no-call": 409,
    "third-already-called": 409,
    "nobody-being-called": 409,
    "would-leave-citizen-alone": 409,
    "not-in-this-call": 409,
    "already-in-this-call": 409,
    "needs-confirmation": 409,
    "call-is-ending": 409,
    "call-is-over": 409,
    "no-seat-to-listen-to": 409,
    "not-your-seat": 403,
    "seat-busy": 409,
    "not-logged-on": 409,
    "already-logged-on": 409,
    "not-allowed": 403,
    "no-such-case": 404,
    "no-such-unit": 404,
    "no-such-order": 404,
    "no-such-attempt": 404,
    "no-such-report": 404,
    "no-such-attachment": 404,
    "support-type-missing": 400,
    "no-such-paper": 404,
    "no-such-handoff": 404,
    "not-overdue": 409,
    "attachment-missing": 404,
    "attachment-kind": 415,
    "attachment-needs-report": 400,
    "too-many-attachments": 409,
    "no-such-channel": 404,
    "reason-missing": 400,
    "plan-missing": 400,
    "plan-runs": 409,
    "no-plan": 409,
    "not-yet": 400,
    "not-accepted-yet": 409,
    "no-measure": 409,
    "same-unit": 400,
    "already-passed-on": 409,
    "not-for-diversion": 409,
    "name-missing": 400,
    "nothing-to-say": 400,
    "no-dispute": 409,
    "not-your-unit": 403,
    "order-cancelled": 409,
    "case-with-other-desk": 409,
    "already-answered": 409,
    "wrong-code": 403,
    "way-closed": 429,
    "store-cannot-write": 503,
    "outcome-unknown": 504,
    "switch-down": 503,
    "switch-refused": 502,
}
"""Status of each refusal of the domain (softphone sheet 7.4, Errors). Unknown codes: 409."""

DESK: Mapping[str, tuple[int, str, str]] = {
    "bad-request": (400, "请求有误,请按接口文档修改", "the request is not as the contract says"),
    "key-missing": (
        400,
        "缺少 Idempotency-Key,请为每个操作生成一个新的 UUID 并在重试时沿用",
        "send an Idempotency-Key header: a new UUID for each command, the same for its repeats",
    ),
    "bad-host": (400, "主机名不在允许之列", "this Host is not one of http.hosts"),
    "no-token": (401, "请先签入", "send a valid token: Authorization: Bearer ..."),
    "foreign-origin": (403, "页面来源不在允许之列", "this Origin is not one of http.origins"),
    "not-found": (404, "没有这个地址", "nothing is at this address"),
    "wrong-method": (405, "此地址不支持该方法", "this address does not take that method"),
    "too-late": (408, "请求内容未按时到达", "the body did not arrive in time"),
    "too-large": (413, "请求内容过大", "the body is too large"),
    "not-json": (415, "请求内容须为 JSON", "the body must be application/json"),
    "key-reused": (
        422,
        "此 Idempotency-Key 已用于另一操作,请生成新的",
        "this Idempotency-Key was used for something else: make a new one",
    ),
    "case-owned": (423, "此通话属于其他坐席", "this call belongs to another seat"),
    "too-many": (429, "请求过于频繁,请稍候", "too many requests: wait a second"),
    "store-away": (
        503,
        "存储暂时无法读取,请稍候再试;通话不受影响",
        "the store cannot be read just now: ask again in a moment; calls go on",
    ),
    "internal": (500, "内部错误,已记录", "an error of ours; it has been logged"),
    "not-ready": (503, "正在停止", "the bridge is stopping"),
}
"""Refusals that only this door knows: status, sentence for people, the same in English."""


class Problem(Exception):
    """A request refused at the door. `more` goes into the document as it is."""

    def __init__(self, code: str, **more: Json) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


def status_of(error: Problem | Refused) -> int:
    """HTTP status of a refusal."""
    if isinstance(error, Problem):
        return DESK[error.code][0]
    return STATUS.get(error.code, 409)


def document(error: Problem | Refused) -> dict[str, Json]:
    """The problem document: zh-CN `title`, stable `code`, English `detail`, and for refusals of a
    call its `state` and the services `possible` there."""
    if isinstance(error, Problem):
        status, title, detail = DESK[error.code]
        return _common(error.code, status, title, detail) | error.more
    possible: list[Json] = list(error.possible)
    made = _common(error.code, status_of(error), error.title, error.detail)
    return made | {"state": error.state or None, "possible": possible}


def _common(code: str, status: int, title: str, detail: str) -> dict[str, Json]:
    kind = f"urn:bridge110:problem:{code}"
    return {"type": kind, "title": title, "status": status, "code": code, "detail": detail}
