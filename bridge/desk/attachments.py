"""Files that come in and go out: judged by content, kept by hash, never shown in a page of ours.

A file goes out as a download alone, under a name of ours, with a media type that its content has
earned; the guard adds `nosniff` and a policy that lets nothing run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from bridge.desk import order_shapes
from bridge.desk.bodies import Body
from bridge.desk.order_services import OrderDo, may
from bridge.desk.orders_rest import OrderId, parts_here
from bridge.desk.parts import Parts
from bridge.desk.problems import Problem
from bridge.desk.rest import REFUSALS, Ident, Key, Who, parts_of
from bridge.desk.rights import GIVES_ORDERS, SEES_ORDERS
from bridge.domain.attachment import MAX_BYTES, MAX_FILES, MAX_OF_CASE, NAME, kind_of, media_of
from bridge.domain.attachment import name_of as name_of_content
from bridge.domain.errors import Refused
from bridge.domain.order import Order
from bridge.flows.ports import Answer, FileMissing, Files

FileName = Annotated[str, Path(pattern=rf"^{NAME.pattern}$")]
ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": order_shapes.Attached}
OCTETS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Sent(Body):
    """A file as a repeat of its command is known by it."""

    name: str


async def uploaded(request: Request) -> tuple[dict[str, str], list[bytes]]:
    """Text fields and files of a page's form. Raises Problem: bad-request, too-large."""
    async with parts_of(request).uploads:
        try:
            form = await request.form(max_files=MAX_FILES, max_fields=20, max_part_size=64 * 1024)
        except HTTPException as error:
            raise Problem("bad-request") from error
        try:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            return fields, await _files(form)
        finally:
            await form.close()


async def _files(form: FormData) -> list[bytes]:
    found: list[bytes] = []
    for _, value in form.multi_items():
        if isinstance(value, UploadFile) and value.size:
            if value.size > MAX_BYTES:
                raise Problem("too-large")
            found.append(await value.read())
    return found


async def kept(files: Files, contents: Sequence[bytes]) -> tuple[str, ...]:
    """Keep them; gives their names. Raises Refused("attachment-kind"), StoreError."""
    kinds = [kind_of(data) for data in contents]
    if None in kinds:
        raise Refused("attachment-kind")
    pairs = zip(contents, kinds, strict=True)
    return tuple([await files.keep(data, str(kind)) for data, kind in pairs])


def room_for(order: Order, more: int) -> None:
    """Raises Refused where the order has as many files as it may."""
    if more and len(files_of(order)) + more > MAX_OF_CASE:
        raise Refused("too-many-attachments")


def files_of(order: Order, unit: str | None = None) -> list[str]:
    """Files that were sent with reports about an order, by one unit or by all."""
    reports = [one for one in order.reports if unit in (None, one.unit)]
    return [name for one in reports for name in one.attachments if NAME.fullmatch(name)]


async def download(parts: Parts, about: str, name: str) -> Response:
    """The file as a download. Raises Refused("attachment-missing"), and raises an alarm then."""
    return await stored(parts, f"{about}-{name[:12]}", name)


async def stored(parts: Parts, title: str, name: str, *, inline: bool = False) -> Response:
    """The same under a title; `inline` only for what we have written ourselves."""
    try:
        data = await parts.files.read(name)
    except FileMissing as error:
        words = f"文件 {name[:12]} 缺失或已损坏({title}) / a file is gone or damaged"
        parts.view.alarm(f"file.{name[:12]}", words)
        raise Refused("attachment-missing") from error
    kind = name.rpartition(".")[2]
    how = "inline" if inline else "attachment"
    headers = {"Content-Disposition": f'{how}; filename="{title}.{kind}"'}
    return Response(data, media_type=media_of(name), headers=headers)


def attachments() -> APIRouter:
    """What the desk's people put to a case, and fetch."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)

    @router.post(
        "/cases/{case}/attachments", operation_id="attachFile", openapi_extra=OCTETS, **ACCEPTED
    )
    async def attach(request: Request, who: Who, key: Key, case: Ident) -> JSONResponse:
        """The octets of a picture or PDF; orders of the case may carry it from then on."""
        parts = parts_of(request)
        asker = may(who, GIVES_ORDERS)
        async with parts.uploads:
            data = await request.body()
            kind = kind_of(data)
            if kind is None:
                raise Refused("attachment-kind")

            async def work() -> Answer:
                name = await parts.files.keep(data, kind)
                return await parts.cases.attach(asker, case, name, key)

            asked = OrderDo("attachFile", key, case, Sent(name=name_of_content(data, kind)))
            answer = await parts.commands.once(who, asked, work)
        return JSONResponse(dict(answer.body), answer.status)

    @router.get(
        "/orders/{order}/attachments/{name}",
        operation_id="fetchAttachment",
        response_class=Response,
    )
    async def fetch(request: Request, who: Who, order: OrderId, name: FileName) -> Response:
        may(who, SEES_ORDERS)
        found = await parts_here(request).order(order)
        ours: Any = found.content.get("attachments") or ()
        if name not in (*files_of(found), *ours):
            raise Refused("no-such-attachment")
        return await download(parts_of(request), found.id, name)

    return router
