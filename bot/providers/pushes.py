"""What a push says on every kind of device: the data for the page or app that shows it, and the name it replaces."""

from __future__ import annotations

import base64
import hashlib

from bot.providers.messages import Push

TOPIC_BYTES = 24


def data_of(push: Push) -> dict[str, str]:
    """Texts only, as Firebase wants it; `tag` is what a notification of the browser replaces."""
    sound = {"sound": push.sound} if push.sound else {}
    shown = {"title": push.title, "body": push.body, "url": push.url, "tag": push.collapse_key}
    return {**push.data, **shown, "urgency": push.urgency, **sound}


def topic_of(collapse_key: str) -> str:
    """32 characters of base64url, the most that RFC 8030 allows and few enough for Apple: equal for equal keys."""
    return base64.urlsafe_b64encode(hashlib.sha256(collapse_key.encode()).digest()[:TOPIC_BYTES]).decode()
