"""What AMI says of an action, in the words of the flows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.asterisk.errors import ActionError, ActionNotSent, ActionRejected
from bridge.flows.ports import ActRefused, ActUnknown


@contextmanager
def as_refusals() -> Iterator[None]:
    """Raises ActRefused where nothing was done, ActUnknown where nobody knows."""
    try:
        yield
    except ActionRejected as error:
        raise ActRefused("switch-refused", str(error)) from error
    except ActionNotSent as error:
        raise ActRefused("switch-down", str(error)) from error
    except ActionError as error:
        raise ActUnknown(str(error)) from error
