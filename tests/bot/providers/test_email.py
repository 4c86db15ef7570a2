"""Mail by the real library, to a mail server on loopback that can fail in every step."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.providers.email import CONNECTIONS, EmailChannel
from bot.providers.messages import Verdict
from bot.providers.opening import open_channels
from bot.settings.channels import ChannelSettings
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.smtp_server import SmtpServer
from tests.workers.messages import CALENDAR, PATIENT_S, SOON_S, an_email, an_invitation, now, verdict_on

SENDER = "no-reply@janji.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate: Certificate) -> Iterator[SmtpServer]:
    with SmtpServer(certificate.server) as running:
        yield running


@asynccontextmanager
async def channel_to(server: SmtpServer, certificate: Certificate, **more: Any) -> AsyncIterator[EmailChannel]:
    fields = {"smtp_url": server.url, "mail_from": SENDER, "smtp_ca_file": certificate.file}
    settings = ChannelSettings(**{**fields, "provider_timeout_s": PATIENT_S, **more})
    async with open_channels(settings, now) as channels:
        assert channels.email is not None
        yield channels.email


@pytest.fixture
async def channel(server: SmtpServer, certificate: Certificate) -> AsyncIterator[EmailChannel]:
    async with channel_to(server, certificate) as open_channel:
        yield open_channel


# --- what arrives -----------------------------------------------------------------------------------------------------


async def test_a_mail_says_who_it_is_from_and_that_no_person_wrote_it(
    server: SmtpServer, channel: EmailChannel
) -> None:
    receipt = await channel.send(an_email(unsubscribe_url="https://janji.example/u/1"))

    (mail,) = server.mails
    assert mail["Message-ID"] == "<n_1@example.com>"
    assert mail["From"] == f"Janji <{SENDER}>"
    assert mail["To"] == "Budi Santoso <budi@example.org>"
    assert mail["Date"].datetime == now()
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"] == "<https://janji.example/u/1>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert server.recipients == [["budi@example.org"]]
    assert receipt.provider_id == "2.0.0 queued as 42"


async def test_mail_that_cannot_be_switched_off_names_no_way_to_do_it(
    server: SmtpServer, channel: EmailChannel
) -> None:
    await channel.send(an_email())
    assert not {"List-Unsubscribe", "List-Unsubscribe-Post"} & set(server.mails[0].keys())


async def test_an_invitation_stands_beside_text_and_html_and_again_as_a_file(
    server: SmtpServer, channel: EmailChannel
) -> None:
    await channel.send(an_email(invitation=an_invitation()))

    (mail,) = server.mails
    alternatives, attachment = mail.iter_parts()
    plain, html, calendar = alternatives.iter_parts()
    assert mail.get_content_type() == "multipart/mixed"
    assert alternatives.get_content_type() == "multipart/alternative"
    assert [plain.get_content(), html.get_content()] == ["See you at ten.\r\n", "<p>See you at ten.</p>\r\n"]
    assert calendar["Content-Type"].params == {"charset": "utf-8", "method": "REQUEST"}
    assert calendar.get_content().encode().split() == CALENDAR.split()
    assert attachment.get_filename() == "invite.ics"
    assert attachment.get_content() == CALENDAR


async def test_a_mail_without_an_invitation_is_text_and_html(server: SmtpServer, channel: EmailChannel) -> None:
    await channel.send(an_email())
    assert server.mails[0].get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in server.mails[0].iter_parts()] == ["text/plain", "text/html"]


async def test_every_script_arrives_as_it_was_written_and_travels_as_ascii(
    server: SmtpServer, channel: EmailChannel
) -> None:
    words = "Pijat ☕ di Jalan Raya — 100 % “santai”, 日本語"
    await channel.send(an_email(to_name=words, from_name="Klinik & Spa, Ñ", subject=words, text=words, html=words))

    (mail,) = server.mails
    assert mail["Subject"] == words
    assert mail["To"].addresses[0].display_name == words
    assert mail["From"].addresses[0].display_name == "Klinik & Spa, Ñ"
    assert [part.get_content().strip() for part in mail.iter_parts()] == [words, words]
    assert server.raw[0].isascii()
    assert max(map(len, server.raw[0].split(b"\r\n"))) <= 998


async def test_a_long_address_to_unsubscribe_is_not_broken_up(server: SmtpServer, channel: EmailChannel) -> None:
    url = f"https://janji.example/unsubscribe?token={'a1-_' * 80}"
    await channel.send(an_email(unsubscribe_url=url))
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in server.raw[0]


@pytest.mark.parametrize("field", ["message_id", "to", "to_name", "from_name", "subject", "unsubscribe_url"])
async def test_no_header_can_be_smuggled_in(server: SmtpServer, channel: EmailChannel, field: str) -> None:
    smuggled = an_email(**{field: "a@example.org\r\nBcc: everybody@example.org"})
    assert await verdict_on(channel.send(smuggled)) == Verdict("permanent", "malformed")
    assert server.mails == []


@pytest.mark.parametrize("to", ["", "budi", "a@example.org, b@example.org", "budí@example.org", "<a@b.c>"])
async def test_what_is_not_one_address_is_refused_before_anything_is_sent(
    server: SmtpServer, channel: EmailChannel, to: str
) -> None:
    assert await verdict_on(channel.send(an_email(to=to))) == Verdict("permanent", "malformed")
    assert server.connections == 0


# --- the connection ---------------------------------------------------------------------------------------------------


async def test_twenty_mails_go_over_one_connection(server: SmtpServer, channel: EmailChannel) -> None:
    for number in range(20):
        await channel.send(an_email(message_id=f"n_{number}@x.y"))

    assert server.connections == 1
    assert [mail["Message-ID"] for mail in server.mails] == [f"<n_{number}@x.y>" for number in range(20)]


async def test_mails_that_come_at_once_share_a_few_connections(server: SmtpServer, channel: EmailChannel) -> None:
    await asyncio.gather(*(channel.send(an_email(message_id=f"n_{number}@x.y")) for number in range(20)))

    assert server.connections <= CONNECTIONS
    assert sorted(mail["Message-ID"] for mail in server.mails) == sorted(f"<n_{number}@x.y>" for number in range(20))


async def test_behind_mails_that_hang_others_do_not_wait_for_ever(server: SmtpServer, certificate: Certificate) -> None:
    server.fail("RCPT", is_stalled=True, times=3 * CONNECTIONS)
    async with channel_to(server, certificate, provider_timeout_s=SOON_S) as channel:
        sendings = (verdict_on(channel.send(an_email())) for _ in range(3 * CONNECTIONS))
        verdicts = await asyncio.gather(*sendings)
    assert Verdict("retry", "timeout") in verdicts
    assert Verdict("retry", "busy") in verdicts
    assert set(verdicts) == {Verdict("retry", "timeout"), Verdict("retry", "busy")}


async def test_a_connection_that_was_closed_meanwhile_is_opened_again(
    server: SmtpServer, channel: EmailChannel
) -> None:
    await channel.send(an_email())
    server.cut_off()
    await channel.send(an_email())

    assert (server.connections, len(server.mails)) == (2, 2)


async def test_after_a_refusal_the_next_mail_is_sent_as_if_nothing_had_been(
    server: SmtpServer, channel: EmailChannel
) -> None:
    server.fail("RCPT", "550 5.1.1 no such user")
    assert await verdict_on(channel.send(an_email()))
    await channel.send(an_email(to="sari@example.org"))
    assert server.recipients == [["sari@example.org"]]


async def test_mail_goes_to_a_server_that_is_encrypted_at_once(certificate: Certificate) -> None:
    with SmtpServer(certificate.server, "at once") as server:
        async with channel_to(server, certificate) as channel:
            await channel.send(an_email())
        assert len(server.mails) == 1


async def test_without_encryption_nothing_is_sent(certificate: Certificate) -> None:
    with SmtpServer(certificate.server, "none") as server:
        async with channel_to(server, certificate) as channel:
            assert await verdict_on(channel.send(an_email())) == Verdict("config", "tls")
        assert (server.connections, server.steps, server.mails) == (1, [], [])


@pytest.mark.parametrize("encryption", ["starttls", "at once"])
async def test_a_server_that_nobody_vouches_for_is_told_nothing(certificate: Certificate, encryption: Any) -> None:
    with SmtpServer(certificate.server, encryption) as server:
        async with channel_to(server, certificate, smtp_ca_file=None) as channel:
            assert await verdict_on(channel.send(an_email())) == Verdict("config", "tls")
        assert server.steps == []


async def test_a_server_with_the_certificate_of_another_one_is_told_nothing(certificate: Certificate) -> None:
    with SmtpServer(certificate.server) as server:
        async with channel_to(server, certificate, smtp_url=server.url.replace("127.0.0.1", "localhost")) as channel:
            assert await verdict_on(channel.send(an_email())) == Verdict("config", "tls")
        assert server.steps == []


# --- what goes wrong --------------------------------------------------------------------------------------------------

LOST = Verdict("retry", "connection")
LOST_AFTER = Verdict("retry", "connection", is_ambiguous=True)
# what happens -> in which step, how, what it means, which steps the server has seen, how many mails it has taken
FAILURES: dict[str, tuple[Any, dict[str, Any], Verdict, list[str], int]] = {
    "a wrong password": ("AUTH", {"answer": "535 5.7.8 no"}, Verdict("config", "535"), ["AUTH"] * 2, 0),
    "a login that is out of order": ("AUTH", {"answer": "454 4.7.0 later"}, Verdict("retry", "454"), ["AUTH"] * 2, 0),
    "a sender who may not": ("MAIL", {"answer": "550 5.7.1 not yours"}, Verdict("config", "550"), ["MAIL"], 0),
    "a server that closes": ("MAIL", {"answer": "421 4.3.2 closing"}, Verdict("retry", "421"), ["MAIL"], 0),
    "no such mailbox": (
        *("RCPT", {"answer": "550 5.1.1 no such user"}),
        *(Verdict("permanent", "550", is_address_dead=True), ["MAIL", "RCPT"], 0),
    ),
    "a mailbox with an impossible name": (
        *("RCPT", {"answer": "553 5.1.3 bad"}),
        *(Verdict("permanent", "553", is_address_dead=True), ["MAIL", "RCPT"], 0),
    ),
    "a full mailbox": ("RCPT", {"answer": "452 4.2.2 full"}, Verdict("retry", "452"), ["MAIL", "RCPT"], 0),
    "greylisting": ("RCPT", {"answer": "451 4.7.1 later"}, Verdict("retry", "451"), ["MAIL", "RCPT"], 0),
    "a relay that knows us not": ("RCPT", {"answer": "530 5.7.0 who"}, Verdict("config", "530"), ["MAIL", "RCPT"], 0),
    "a recipient whom policy forbids": (
        *("RCPT", {"answer": "554 5.7.1 policy"}),
        *(Verdict("permanent", "554"), ["MAIL", "RCPT"], 0),
    ),
    "a connection that is lost before the mail": ("RCPT", {}, LOST, ["MAIL", "RCPT"], 0),
    "a server that falls silent before the mail": (
        *("RCPT", {"is_stalled": True}),
        *(Verdict("retry", "timeout"), ["MAIL", "RCPT"], 0),
    ),
    "a mail that looks like spam": (
        *("DATA", {"answer": "554 5.7.1 spam"}),
        *(Verdict("permanent", "554"), ["MAIL", "RCPT", "DATA"], 0),
    ),
    "a server that is too busy for the mail": (
        *("DATA", {"answer": "451 4.3.0 busy"}),
        *(Verdict("retry", "451"), ["MAIL", "RCPT", "DATA"], 0),
    ),
    "an unwanted mailbox that is noticed late": (
        *("DATA", {"answer": "550 5.7.1 no"}),
        *(Verdict("permanent", "550"), ["MAIL", "RCPT", "DATA"], 0),
    ),
    "a connection that is lost with the mail": ("DATA", {}, LOST_AFTER, ["MAIL", "RCPT", "DATA"], 0),
    "an answer that is lost after the mail was taken": (
        *("DATA", {"is_done": True}),
        *(LOST_AFTER, ["MAIL", "RCPT", "DATA"], 1),
    ),
    "a server that takes the mail and falls silent": (
        *("DATA", {"is_done": True, "is_stalled": True}),
        *(Verdict("retry", "timeout", is_ambiguous=True), ["MAIL", "RCPT", "DATA"], 1),
    ),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_has_its_verdict_and_is_met_once(
    server: SmtpServer, certificate: Certificate, case: str
) -> None:
    step, fault, verdict, steps, taken = FAILURES[case]
    server.fail(step, times=2 if step == "AUTH" else 1, **fault)  # the library knows two ways to log in, and tries both
    timeout_s = SOON_S if fault.get("is_stalled") else PATIENT_S
    async with channel_to(server, certificate, provider_timeout_s=timeout_s) as channel:
        assert await verdict_on(channel.send(an_email())) == verdict
    assert [each for each in server.steps if each != "AUTH" or step == "AUTH"] == steps
    assert len(server.mails) == taken


async def test_a_server_that_is_not_there_was_asked_nothing(certificate: Certificate) -> None:
    with SmtpServer(certificate.server) as gone:
        pass
    async with channel_to(gone, certificate) as channel:
        assert await verdict_on(channel.send(an_email())) == Verdict("retry", "connection")


async def test_a_verdict_tells_nobody_what_the_server_has_said(server: SmtpServer, channel: EmailChannel) -> None:
    server.fail("RCPT", "550 5.1.1 <budi@example.org> does not live here")
    verdict = await verdict_on(channel.send(an_email()))
    assert not re.search("budi", repr(verdict))
