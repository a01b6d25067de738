"""A form as HTML for screens and mail, and as plain text. Hostile words stay words."""

from __future__ import annotations

import base64
from typing import Final

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined

from bridge.documents.files import png
from bridge.documents.form import Form
from bridge.documents.raster import first_page
from bridge.documents.slip import MASK, payload

_PAGES: Final = Environment(
    loader=PackageLoader("bridge.documents", "."),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
)


def html(form: Form) -> str:
    """One page of HTML without scripts and without anything from elsewhere."""
    symbol = ""
    if form.slip is not None:
        text = payload(form.slip.order, form.slip.code, "L")
        symbol = segno.make(text, mask=MASK, error="m", micro=False).svg_data_uri(scale=4)
    picture = ""
    if form.picture:
        shown = base64.b64encode(png(first_page(form.picture))).decode()
        picture = f"data:image/png;base64,{shown}"
    columns = max(len(row.cells) for row in form.rows)
    return _PAGES.get_template("form.html").render(
        form=form, symbol=symbol, picture=picture, columns=columns
    )


def text(form: Form) -> str:
    """Lines of `label:words`, for mail readers without HTML and for people who listen."""
    lines = [f"[{mark}]" for mark in form.marks]
    lines += [form.issuer, form.title, form.number, ""]
    lines += [f"{cell.label}:{cell.text}" for row in form.rows for cell in row.cells if cell.text]
    lines += ["", *form.notes]
    if form.slip is not None:
        lines += ["", f"{form.slip.code_label}:{form.slip.code[:4]} {form.slip.code[4:]}"]
    return "\n".join(lines) + "\n"
