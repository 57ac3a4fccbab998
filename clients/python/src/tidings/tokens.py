"""What the client reads of a token: when it ends. Refuses to judge the rest, which is the server's business."""

from __future__ import annotations

import base64
import binascii
import json


def expiry_of(token: str) -> float | None:
    """`exp` of a JWT, in seconds since 1970; nothing for a token of another kind."""
    try:
        payload = token.split(".")[1]
        expires_at = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return float(expires_at)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
