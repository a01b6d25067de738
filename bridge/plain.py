"""JSON that can be looked at on a terminal: Chinese as it is, nothing that acts there."""

from __future__ import annotations

import json
from typing import Any


def dumps(value: object, **options: Any) -> str:
    """JSON text in which every control, direction and unprintable character is an escape."""
    text = json.dumps(value, ensure_ascii=False, **options)
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
