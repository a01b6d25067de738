"""What a station is and what it may use, sender and receiver. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hardware.fax.rates import ALL_RATES, Rate


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """What this station is and what it may use."""

    identity: str = ""
    """Digits, blank and plus; TSI is left out when empty."""
    ecm: bool = True
    t6: bool = True
    """T.6 under ECM; else MR or MH."""
    rates: tuple[Rate, ...] = ALL_RATES
    """What the modem sends."""
    max_bps: int = 14400

    def with_rates(self, rates: tuple[Rate, ...]) -> SenderSettings:
        """The same with other speeds."""
        return replace(self, rates=rates)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What this station is and what it takes."""

    identity: str = ""
    """Digits, blank and plus; CSI is left out when empty."""
    ecm: bool = True
    t6: bool = True
    rates: tuple[Rate, ...] = ALL_RATES
    """What the modem receives."""

    def with_rates(self, rates: tuple[Rate, ...]) -> ReceiverSettings:
        """The same with other speeds."""
        return replace(self, rates=rates)
