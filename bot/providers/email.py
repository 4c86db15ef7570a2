"""Mail over SMTP: encrypted or not at all, one recipient each, over connections that are kept for the next ones."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.headerregistry import Address, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import Policy
from pathlib import Path

import aiosmtplib

from bot.clock import Now
from bot.providers import verdicts
from bot.providers.exchange import is_of_tls
from bot.providers.messages import Email, NotSent, Receipt, Verdict
from bot.settings.channels import ADDRESS, SmtpServer


class _Whole(UniqueUnstructuredHeader):
    """A header with one long address: Python would break it up into encoded words, which no mail program reads."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


_headers = HeaderRegistry()
_headers.map_to_type("List-Unsubscribe", _Whole)  # type: ignore[arg-type]
# "7bit": what is not ASCII is encoded by us, whatever the servers on the way can carry.
_POLICY = SMTP_POLICY.clone(cte_type="7bit", header_factory=_headers)


Meaning = Callable[[int], Verdict]

CONNECTIONS = 4
# A mail has as many steps; all of them together, and the wait for a connection, take no longer than this many.
MOST_STEPS = 4


class EmailChannel:
    """A few connections, each for one mail at a time; one mail after the other goes over the same."""

    def __init__(
        self, server: SmtpServer, sender: str, *, now: Now, timeout_s: float, ca_file: Path | None = None
    ) -> None:
        self._sender = sender
        self._now = now
        self._timeout_s = timeout_s
        trusted = ssl.create_default_context()
        if ca_file is not None:
            trusted.load_verify_locations(ca_file)
        self._lines = [_Line(server, sender, trusted, timeout_s) for _ in range(CONNECTIONS)]
        self._free: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()
        for line in self._lines:
            self._free.put_nowait(line)

    async def send(self, mail: Email) -> Receipt:
        """Within four times our time limit. Raises NotSent."""
        content, until = self._content(mail), asyncio.get_running_loop().time() + MOST_STEPS * self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await self._free.get()
        except TimeoutError:
            raise NotSent(verdicts.of_silence("busy", was_asked=False)) from None
        try:
            return await line.send(mail.to, content, until)
        finally:
            self._free.put_nowait(line)

    async def close(self) -> None:
        for line in self._lines:
            await line.close()

    def _content(self, mail: Email) -> bytes:
        """The mail as it is handed in. Text with line breaks in the place of a header is refused, never sent."""
        try:
            return message_of(mail, self._sender, self._now()).as_bytes()
        except ValueError:
            raise NotSent(verdicts.MALFORMED) from None


class _Line:
    """A connection that is kept for the next mail; what is broken when that one comes is opened anew."""

    def __init__(self, server: SmtpServer, sender: str, trusted: ssl.SSLContext, timeout_s: float) -> None:
        self._server = server
        self._sender = sender
        self._trusted = trusted
        self._timeout_s = timeout_s
        self._connection: aiosmtplib.SMTP | None = None

    async def send(self, to: str, content: bytes, until: float) -> Receipt:
        try:
            connection = await self._begun(until)
            async with self._heard(verdicts.of_smtp_recipient, until, was_asked=False):
                await connection.rcpt(to)
            async with self._heard(verdicts.of_smtp_data, until, was_asked=True):
                answer = await connection.data(content)
        except BaseException:
            self._hang_up()
            raise
        return Receipt(answer.message.partition("\n")[0][:200] or None)

    async def close(self) -> None:
        if self._connection is not None:
            with suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(self._timeout_s):
                    await self._connection.quit()
            self._hang_up()
            await asyncio.sleep(0)

    async def _begun(self, until: float) -> aiosmtplib.SMTP:
        """A connection with our mail begun on it: the kept one if it still works, or a new one."""
        if self._connection is not None:
            try:
                async with self._in_time(until):
                    await self._connection.mail(self._sender)
                return self._connection
            except (aiosmtplib.SMTPException, OSError):
                self._hang_up()  # it was closed meanwhile; whatever else it is, the new one says it, too
        connection = await self._connect(until)
        async with self._heard(verdicts.of_smtp_sender, until, was_asked=False):
            await connection.mail(self._sender)
        return connection

    async def _connect(self, until: float) -> aiosmtplib.SMTP:
        server = self._server
        connection = _Connection(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.is_encrypted_at_once,
            start_tls=not server.is_encrypted_at_once,
            tls_context=self._trusted,
            local_hostname=self._sender.partition("@")[2],
            timeout=self._timeout_s,
        )
        async with self._heard(verdicts.of_smtp_login, until, was_asked=False):
            await connection.connect()
        self._connection = connection
        return connection

    @asynccontextmanager
    async def _heard(self, meaning: Meaning, until: float, *, was_asked: bool) -> AsyncIterator[None]:
        """One step within our time; `meaning` is what an answer says that refuses it. Raises NotSent."""
        try:
            async with self._in_time(until):
                yield
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(_verdict(error, meaning, was_asked)) from None

    def _in_time(self, until: float) -> asyncio.Timeout:
        return asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + self._timeout_s))

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection(aiosmtplib.SMTP):
    def close(self) -> None:
        """At once: to end the encryption politely takes longer than a loop may live that has nothing else to do."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


def message_of(mail: Email, sender: str, at: datetime) -> EmailMessage:
    """Raises ValueError for line breaks and other things that cannot stand in a header.

    An address that is not ASCII would need every server on the way to know SMTPUTF8: it is refused as well.
    """
    if not ADDRESS.fullmatch(mail.to):
        raise ValueError("to is not one address")
    message = EmailMessage(policy=_POLICY)
    message["Message-ID"] = f"<{mail.message_id.strip('<>')}>"
    message["Date"] = at
    message["From"] = Address(mail.from_name, addr_spec=sender)
    message["To"] = Address(mail.to_name, addr_spec=mail.to)
    message["Subject"] = mail.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers us
    if mail.unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    if mail.invitation is not None:
        calendar, method = mail.invitation.content, mail.invitation.method
        message.add_alternative(calendar.decode(), subtype="calendar", params={"method": method})
        message.add_attachment(calendar, maintype="application", subtype="ics", filename="invite.ics")
    return message


def _verdict(error: Exception, meaning: Meaning, was_asked: bool) -> Verdict:
    """What upstream raised, in our words; an answer's text may quote an address, and is left out."""
    if is_of_tls(error) or is_of_tls(error.__cause__):
        return verdicts.NO_TLS
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return meaning(error.code)
    if isinstance(error, TimeoutError):
        return verdicts.of_silence("timeout", was_asked=was_asked)
    if isinstance(error, OSError):  # also upstream's errors of a connection
        return verdicts.of_silence("connection", was_asked=was_asked)
    # What is left is raised before a word of ours: no STARTTLS, or no way to log in that both sides know.
    return verdicts.NO_TLS if "STARTTLS" in str(error) else Verdict("config", "login")
