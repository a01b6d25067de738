"""What clients send: bodies of REST requests and messages of the WebSocket, as strict types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TOPICS = 64

Ident = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
SeatId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,16}$")]
To = Annotated[str, Field(pattern=r"^(seat:|group:)?[A-Za-z0-9_-]{1,32}$")]
"""A target by its id (`12345`), another seat (`seat:8002`), a free seat of a group
(`group:nonpolice`)."""
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:.-]{8,128}$")]
Word = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
Mode = Literal["listen", "whisper", "barge", "talk"]
Topic = Annotated[str, Field(pattern=r"^((seat|case|call|link):([A-Za-z0-9_.-]{1,64}|\*)|\*)$")]


class Body(BaseModel):
    """Common: no member that the contract does not name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Acting(Body):
    """`seat`: for which seat, where the token may act for more than one."""

    seat: SeatId | None = None


class Third(Acting):
    """Somebody to be called into the case."""

    to: To


class Muting(Acting):
    """`on`: not heard by the others."""

    on: bool


class Intruding(Acting):
    """How a shift leader takes part; `talk` is a leg that all hear."""

    mode: Mode


class LoggingOn(Body):
    """Who sits down, and in which role (SB-08)."""

    agent: Word = Field(min_length=1)
    role: Word = "110"


class Setting(Body):
    """The state wanted."""

    state: Literal["ready", "notReady", "workingAfterCall"]
    reason: Word = ""


class Args(Body):
    """Arguments of a service asked for over the WebSocket; which are needed, the service says."""

    call: Ident | None = None
    leg: Ident | None = None
    seat: SeatId | None = None
    to: To | None = None
    mode: Mode | None = None
    on: bool = True
    confirm: bool = False
    agent: Word = ""
    role: Word = "110"
    state: Literal["ready", "notReady", "workingAfterCall"] | None = None
    reason: Word = ""


class Resume(Body):
    """Where the client stopped."""

    epoch: Annotated[str, Field(max_length=64)]
    seq: Annotated[int, Field(ge=0)]


class Hello(Body):
    """First message. `token`: where the client cannot send a header (a page)."""

    op: Literal["hello"]
    token: Annotated[str, Field(max_length=256)] | None = None
    resume: Resume | None = None
    subscribe: Annotated[list[Topic], Field(max_length=MAX_TOPICS)] | None = None


class Do(Body):
    """A service asked for; `id` is its idempotency key."""

    op: Literal["do"]
    id: Key
    service: Annotated[str, Field(max_length=64)]
    args: Args = Args()


class DoOrder(Body):
    """A service of orders asked for; `args` as the body of the same service by REST. `case` names
    the case of a new order, `order` the order of all others."""

    op: Literal["do"]
    id: Key
    service: Literal[
        "createOrder",
        "confirmSiteOrder",
        "remindOrder",
        "cancelOrder",
        "decideDispute",
        "noteInformed",
        "acknowledgeOrder",
        "reportOrder",
        "passOnOrder",
        "redirectFax",
        "takeBackAttempt",
    ]
    case: Ident | None = None
    order: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    args: dict[str, Any] = Field(default_factory=dict)


class Subscribe(Body):
    """Other topics from now on."""

    op: Literal["subscribe", "unsubscribe"]
    topics: Annotated[list[Topic], Field(max_length=MAX_TOPICS)]


def faults(errors: list[Any]) -> list[Any]:
    """Validation errors as place and words, without the input itself."""
    return [
        {"place": ".".join(str(part) for part in error["loc"]), "words": _words(error)}
        for error in errors[:20]
    ]


def _words(error: Any) -> str:
    if error["type"] == "union_tag_invalid":  # pydantic's own words repeat the input
        return "{discriminator} should be one of {expected_tags}".format(**error["ctx"])
    return str(error["msg"])
