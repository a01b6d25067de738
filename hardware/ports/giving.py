"""A job of the owner, given to the driver it is for."""

from __future__ import annotations

from typing import Any

from hardware.fax.gateway import FaxGateway
from hardware.fax.number import Hours
from hardware.gateways import MessageDriver
from hardware.radio.events import RadioRefused, Why
from hardware.radio.line_keyed import LineKeyed
from hardware.radio.map27 import Map27
from hardware.radio.tetra_pei import TetraPei

Driver = MessageDriver | LineKeyed


def give(driver: Driver, key: str, job: dict[str, Any], order_status: int | None) -> None:
    """Hand a job over. `order_status`: the agreed number for "an order waits", for a MAP27 network
    that cannot carry the text. Raises RadioRefused."""
    address, urgent = job["address"], bool(job.get("urgent", False))
    text, status = str(job.get("text", "")), job.get("status")
    if isinstance(driver, LineKeyed):
        raise RadioRefused(Why.REFUSED, "a voice gateway carries no text")
    if isinstance(status, int) and isinstance(driver, TetraPei | Map27):
        driver.send_status(key, address, status, urgent=urgent)
        return
    if isinstance(driver, FaxGateway):
        driver.send_document(key, address, text, urgent=urgent, hours=_hours(job))
        return
    try:
        driver.send_text(key, address, text, urgent=urgent)
    except RadioRefused as refused:
        cannot = refused.why is Why.REFUSED and isinstance(driver, Map27)
        if order_status is None or not cannot:
            raise
        assert isinstance(driver, Map27)
        driver.send_status(key, address, order_status, urgent=urgent)


def _hours(job: dict[str, Any]) -> Hours | None:
    """When a fax may be dialled. Raises RadioRefused."""
    span, zone = job.get("hours"), job.get("zone")
    if not span:
        return None
    try:
        return Hours.parse(str(span), str(zone))
    except ValueError as error:
        raise RadioRefused(Why.ERROR, f"hours: {error}") from error
