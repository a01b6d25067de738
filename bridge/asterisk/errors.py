"""How an action sent to Asterisk can fail, sorted by what the caller may do next.

Three outcomes (libraries.md section 1, guard rules 2 and 4): rejected, not sent, unknown.
"""

from __future__ import annotations

from bridge.wire.ami import Message


class ActionError(Exception):
    """Common to all three, for callers that only tell somebody."""


class ActionRejected(ActionError):
    """Asterisk answered `Response: Error`. It was not done; `message` is the answer."""

    def __init__(self, action: str, message: Message) -> None:
        super().__init__(f"Asterisk rejected {action}: {message.get('Message') or 'no reason'}")
        self.action = action
        self.message = message


class ActionNotSent(ActionError):
    """Not a byte left us: it certainly was not done and may be asked again."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action} was not sent: {reason}")
        self.action = action
        self.reason = reason


class OutcomeUnknown(ActionError):
    """Sent, and no answer came: it may have been done. Look at the live state, never repeat it."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"outcome of {action} unknown: {reason}")
        self.action = action
        self.reason = reason
