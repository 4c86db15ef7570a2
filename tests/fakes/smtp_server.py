"""A mail server on loopback (aiosmtpd) with TLS and a login, whose steps can be refused, stalled or cut off."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "janji@example.com", "the pass:word/of mail"
PATIENCE_S = 20.0
Step = Literal["AUTH", "MAIL", "RCPT", "DATA"]


@dataclass(slots=True)
class Fault:
    """What a step is met with: an answer that refuses it, no answer at all, or a connection that is cut off."""

    answer: str | None = None
    is_stalled: bool = False
    is_done: bool = False
    """Whether the mail was taken all the same, and only the answer is lost."""


class SmtpServer:
    """Serves from `with` on. `mails` is what was taken, `steps` what was asked, in order, `connections` how many came.

    It says `starttls`, or is encrypted `at once`, or knows no encryption and takes everything in the clear.
    """

    def __init__(
        self, certificate: ssl.SSLContext, encryption: Literal["starttls", "at once", "none"] = "starttls"
    ) -> None:
        self._certificate = certificate
        self._encryption = encryption
        self._faults: list[tuple[Step, Fault]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: list[SMTP] = []
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.steps: list[str] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        scheme = "smtps" if self._encryption == "at once" else "smtp"
        return f"{scheme}://janji%40example.com:the%20pass%3Aword%2Fof%20mail@127.0.0.1:{self.port}"

    def fail(self, step: Step, answer: str | None = None, *, times: int = 1, **fault: bool) -> None:
        self._faults += [(step, Fault(answer, **fault)) for _ in range(times)]

    def cut_off(self) -> None:
        """Every connection that is open just now."""

        self._run(self._abort())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _start(self) -> None:
        encrypted = self._certificate if self._encryption == "at once" else None
        self._server = await self._loop.create_server(self._accept, "127.0.0.1", 0, ssl=encrypted)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        await self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _abort(self) -> None:
        for each in self._open:
            # The one beneath the encryption, too: aiosmtpd closes it in an order that asyncio complains of.
            for transport in (each.transport, each._original_transport):
                if transport is not None:
                    cast(asyncio.Transport, transport).abort()
        self._open.clear()
        for _ in range(5):  # the loop tells protocols of it in its next rounds
            await asyncio.sleep(0)

    def _accept(self) -> SMTP:
        self.connections += 1
        offered = self._certificate if self._encryption == "starttls" else None
        protocol = SMTP(
            self,
            hostname="mail.example.com",
            tls_context=offered,
            require_starttls=self._encryption == "starttls",
            auth_require_tls=self._encryption == "starttls",
            authenticator=self._authenticate,
            loop=self._loop,
        )
        self._open.append(protocol)
        return protocol

    # --- what aiosmtpd asks us, by its own names ---

    def _authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, login: Any) -> AuthResult:
        self.steps.append("AUTH")
        if fault := self._next_fault("AUTH"):
            return AuthResult(success=False, handled=False, message=fault.answer)
        assert isinstance(login, LoginPassword)
        is_right = login.login == USER.encode() and login.password == PASSWORD.encode()
        return AuthResult(success=is_right, handled=False)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, sender: str, _: list[str]) -> str:
        self.steps.append("MAIL")
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if fault := self._next_fault("MAIL"):
            return await self._fail(server, fault)
        envelope.mail_from = sender
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, _: Session, envelope: Envelope, to: str, __: list[str]) -> str:
        self.steps.append("RCPT")
        if fault := self._next_fault("RCPT"):
            return await self._fail(server, fault)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:
        self.steps.append("DATA")
        fault = self._next_fault("DATA")
        if fault is None or fault.is_done:
            self._take(envelope)
        return "250 2.0.0 queued as 42" if fault is None else await self._fail(server, fault)

    async def _fail(self, server: SMTP, fault: Fault) -> str:
        if fault.answer is not None:
            return fault.answer
        if fault.is_stalled:
            await asyncio.Event().wait()
        assert server.transport is not None
        cast(asyncio.Transport, server.transport).abort()
        return "421 gone"

    def _take(self, envelope: Envelope) -> None:
        content = cast(bytes, envelope.original_content)
        self.raw.append(content)
        self.recipients.append(list(envelope.rcpt_tos))
        self.mails.append(cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default)))

    def _next_fault(self, step: Step) -> Fault | None:
        for waiting in self._faults:
            if waiting[0] == step:
                self._faults.remove(waiting)
                return waiting[1]
        return None
