"""What a failure of a provider means, from its own codes: tables, and nothing that knows an SDK.

Codes are from the providers' own pages: https://www.twilio.com/docs/api/errors,
https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode, RFC 5321 (SMTP), RFC 8030 (Web Push).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from bot.providers.messages import Verdict

LONGEST_WAIT_S = 86_400.0
QUOTA_REFILLS_S = 60.0

# --- any provider over HTTP ---------------------------------------------------------------------------------------

TRY_AGAIN_STATUSES = frozenset({408, 425, 429})
NOT_US_STATUSES = frozenset({401, 403})


def of_status(status: int, after_s: float | None = None, code: str | None = None) -> Verdict:
    """An answer that says nothing but its status. One of the 500s may come from a router behind which it was done."""
    code = code or str(status)
    if status >= 500:
        return Verdict("retry", code, after_s, is_ambiguous=True)
    if status in TRY_AGAIN_STATUSES:
        return Verdict("retry", code, after_s)
    return Verdict("config" if status in NOT_US_STATUSES else "permanent", code)


def of_silence(code: str, *, was_asked: bool) -> Verdict:
    """No answer: whether it was done nobody knows, unless the question was never written."""
    return Verdict("retry", code, is_ambiguous=was_asked)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds from `Retry-After` (RFC 9110): a number of them, or a date; None for anything else."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (TypeError, ValueError):  # no date, or one without a time zone
        return None
    return min(max(0.0, seconds), LONGEST_WAIT_S)


# --- mail -----------------------------------------------------------------------------------------------------------

NO_TLS = Verdict("config", "tls")
MALFORMED = Verdict("permanent", "malformed")
# "authentication required" and what follows a wrong password; 534 and 538 want another or a safer way to log in.
WRONG_LOGIN = frozenset({530, 534, 535, 538})
# "mailbox unavailable", "user not local", "mailbox name not allowed".
NO_MAILBOX = frozenset({550, 551, 553})


def of_smtp_login(code: int) -> Verdict:
    """While we introduced ourselves: what is refused here would be refused for every other mail, too."""
    return Verdict("retry" if 400 <= code < 500 else "config", str(code))


def of_smtp_sender(code: int) -> Verdict:
    """An answer to MAIL FROM, which speaks of us."""
    return of_smtp_login(code)


def of_smtp_recipient(code: int) -> Verdict:
    """An answer to RCPT TO, which speaks of the address."""
    if code in WRONG_LOGIN:
        return Verdict("config", str(code))
    return Verdict("retry" if 400 <= code < 500 else "permanent", str(code), is_address_dead=code in NO_MAILBOX)


def of_smtp_data(code: int) -> Verdict:
    """An answer to the mail itself, which speaks of what is in it."""
    if code in WRONG_LOGIN:
        return Verdict("config", str(code))
    return Verdict("retry" if 400 <= code < 500 else "permanent", str(code))


# --- short messages -------------------------------------------------------------------------------------------------

TWILIO: Mapping[int, Verdict] = {
    21211: Verdict("permanent", "21211", is_address_dead=True),  # no number
    21614: Verdict("permanent", "21614", is_address_dead=True),  # no mobile one
    21612: Verdict("permanent", "21612", is_address_dead=True),  # none that can be reached from ours
    21610: Verdict("permanent", "21610", is_stopped=True),  # the person has answered STOP
    21602: Verdict("permanent", "21602"),  # no text
    21604: Verdict("permanent", "21604"),  # no recipient
    21617: Verdict("permanent", "21617"),  # a text that is too long
    20003: Verdict("config", "20003"),  # account or token are wrong
    20404: Verdict("config", "20404"),  # no such account
    21408: Verdict("config", "21408"),  # the recipient's country is not switched on
    21606: Verdict("config", "21606"),  # our number cannot send
    21608: Verdict("config", "21608"),  # a trial account sends to verified numbers only
    21703: Verdict("config", "21703"),  # the messaging service has no number
    30002: Verdict("config", "30002"),  # the account is suspended
    20429: Verdict("retry", "20429"),  # too many at once: it was not taken
}


def of_twilio(status: int, code: int | None, after_s: float | None = None) -> Verdict:
    """`code` is Twilio's own; where there is none, as in an answer of a router, the status has to do."""
    known = TWILIO.get(code or 0)
    if known is None:
        return of_status(status, after_s, str(code or status))
    return Verdict("retry", known.code, after_s) if known.kind == "retry" else known


# --- pushes ---------------------------------------------------------------------------------------------------------

FCM: Mapping[str, Verdict] = {
    "UNREGISTERED": Verdict("permanent", "UNREGISTERED", is_address_dead=True),
    "SENDER_ID_MISMATCH": Verdict("permanent", "SENDER_ID_MISMATCH", is_address_dead=True),
    "INVALID_TOKEN": Verdict("permanent", "INVALID_TOKEN", is_address_dead=True),
    "INVALID_ARGUMENT": Verdict("permanent", "INVALID_ARGUMENT"),
    "THIRD_PARTY_AUTH_ERROR": Verdict("config", "THIRD_PARTY_AUTH_ERROR"),  # Apple or a push service refuses our key
    "UNAUTHENTICATED": Verdict("config", "UNAUTHENTICATED"),
    "PERMISSION_DENIED": Verdict("config", "PERMISSION_DENIED"),
    "NOT_FOUND": Verdict("config", "NOT_FOUND"),  # not the device, which is UNREGISTERED: the project
    "SERVICE_ACCOUNT_REJECTED": Verdict("config", "SERVICE_ACCOUNT_REJECTED"),
    "TOKEN_ENDPOINT": Verdict("retry", "TOKEN_ENDPOINT"),  # nothing was sent yet
    "QUOTA_EXCEEDED": Verdict("retry", "QUOTA_EXCEEDED", QUOTA_REFILLS_S),
    "RESOURCE_EXHAUSTED": Verdict("retry", "RESOURCE_EXHAUSTED", QUOTA_REFILLS_S),
}


def of_fcm(code: str, after_s: float | None = None) -> Verdict:
    """Codes that are not in the table speak of a failure on the way, or inside of Google."""
    known = FCM.get(code)
    if known is None:
        return Verdict("retry", code, after_s, is_ambiguous=True)
    return Verdict(known.kind, code, after_s or known.after_s) if known.kind == "retry" else known


def of_push_service(status: int, after_s: float | None = None) -> Verdict:
    """404 and 410: the browser has ended its subscription, or never had one."""
    if status in {404, 410}:
        return Verdict("permanent", str(status), is_address_dead=True)
    return of_status(status, after_s)
