"""Pushes by Firebase, to apps and to browsers that it serves. Its SDK blocks: it works in threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import firebase_admin
import requests
from firebase_admin import credentials, messaging
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from bot.clock import Now
from bot.providers import verdicts
from bot.providers.messages import NotSent, Push, Receipt, Verdict
from bot.providers.pushes import data_of, topic_of

THREADS = 8
# A token that is asked for three times, and then the message: each may take all of our time.
MOST_ROUNDS = 4
# Upstream's classes for what the platform's own code (NOT_FOUND, UNAUTHENTICATED …) does not tell.
CODES: Mapping[type[FirebaseError], str] = {
    messaging.UnregisteredError: "UNREGISTERED",
    messaging.SenderIdMismatchError: "SENDER_ID_MISMATCH",
    messaging.ThirdPartyAuthError: "THIRD_PARTY_AUTH_ERROR",
    messaging.QuotaExceededError: "QUOTA_EXCEEDED",
}


class FcmChannel:
    """One project of Firebase. Built after a fork, and before anything is sent."""

    def __init__(self, service_account: Mapping[str, Any], *, url: str, now: Now, timeout_s: float) -> None:
        self._now = now
        self._longest_s = MOST_ROUNDS * timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fcm")
        project = service_account["project_id"]
        options = {"projectId": project, "httpTimeout": timeout_s}
        certificate = credentials.Certificate(dict(service_account))
        # Of no use to FCM, and asked in a thread that nobody ends: in which regions Google may handle a request.
        certificate.get_credential()._maybe_start_regional_access_boundary_refresh = lambda *_: None
        # Upstream keeps its apps by name, and a second one of a name is an error.
        self._app = firebase_admin.initialize_app(certificate, options, name=f"janji-{uuid4().hex}")
        service = messaging._get_messaging_service(self._app)  # there is no public way to set either of these
        service._fcm_url = f"{url}/v1/projects/{project}/messages:send"
        # Upstream would ask up to five times; when to ask again is for the ledger to say.
        service._client.session.mount(url, HTTPAdapter(max_retries=0, pool_maxsize=THREADS))

    async def send(self, push: Push, token: str) -> Receipt:
        """Raises NotSent."""
        message = _message(push, token, self._now().timestamp())
        sending = asyncio.get_running_loop().run_in_executor(self._threads, self._send, message)
        try:
            async with asyncio.timeout(self._longest_s):
                error, message_id = await sending
        except TimeoutError:  # its thread goes on until upstream gives up as well
            raise NotSent(verdicts.of_silence("timeout", was_asked=True)) from None
        if error is not None:
            raise NotSent(self._verdict(error))
        return Receipt(message_id)

    async def close(self) -> None:
        """Upstream's own end starts an event loop of its own, and so needs a thread."""
        await asyncio.to_thread(firebase_admin.delete_app, self._app)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, message: messaging.Message) -> tuple[BaseException | None, str | None]:
        """In a thread. What happened is in the first part, however upstream wraps it up."""
        try:
            answer = messaging.send_each([message], app=self._app).responses[0]
        except FirebaseError as error:
            return error.cause if isinstance(error.cause, GoogleAuthError) else error, None
        return answer.exception, answer.message_id

    def _verdict(self, error: BaseException) -> Verdict:
        if isinstance(error, GoogleAuthError):
            return verdicts.of_fcm("TOKEN_ENDPOINT" if error.retryable else "SERVICE_ACCOUNT_REJECTED")
        if not isinstance(error, FirebaseError):
            raise error
        if error.http_response is None:
            return _of_silence(error.cause)
        after_s = verdicts.retry_after_s(error.http_response.headers.get("Retry-After"), self._now())
        return verdicts.of_fcm(_code(error), after_s)


def _message(push: Push, token: str, now_s: float) -> messaging.Message:
    is_urgent = push.urgency in {"high", "urgent"}
    sound = "default" if push.sound else None  # which one, the data says: pages and apps play it themselves
    topic = topic_of(push.collapse_key)
    ttl = timedelta(seconds=push.ttl_s)
    link = push.url if push.url.startswith("https://") else None  # upstream refuses any other
    message = messaging.Message(
        data=data_of(push),
        notification=messaging.Notification(push.title, push.body),
        android=messaging.AndroidConfig(
            collapse_key=topic,
            priority="high" if is_urgent else "normal",
            ttl=ttl,
            notification=messaging.AndroidNotification(sound=sound, tag=topic),
        ),
        apns=messaging.APNSConfig(
            headers={
                "apns-collapse-id": topic,
                "apns-expiration": str(int(now_s) + push.ttl_s),
                "apns-priority": "10" if is_urgent else "5",
                "apns-push-type": "alert",
            },
            payload=messaging.APNSPayload(messaging.Aps(sound=sound)),
        ),
        webpush=messaging.WebpushConfig(
            headers={"TTL": str(push.ttl_s), "Urgency": "high" if is_urgent else "normal", "Topic": topic},
            fcm_options=messaging.WebpushFCMOptions(link) if link else None,
        ),
    )
    message.token = token  # as an argument upstream warns of it: new apps may be known by an installation id instead
    return message


def _code(error: FirebaseError) -> str:
    """A bad token and a bad payload have the same code, and only the text tells one from the other."""
    if error.code == "INVALID_ARGUMENT" and "registration token" in str(error):
        return "INVALID_TOKEN"
    return CODES.get(type(error), error.code)


def _of_silence(cause: BaseException | None) -> Verdict:
    if isinstance(cause, requests.exceptions.SSLError):
        return verdicts.NO_TLS
    code = "timeout" if isinstance(cause, requests.exceptions.Timeout) else "connection"
    return verdicts.of_silence(code, was_asked=not _was_never_connected(cause))


def _was_never_connected(cause: BaseException | None) -> bool:
    """Of its errors of a connection, `requests` tells in the innermost one whether there was a connection at all."""
    reason = getattr(cause.args[0] if cause and cause.args else None, "reason", None)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))
