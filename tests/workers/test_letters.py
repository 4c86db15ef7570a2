"""Every notice is a letter to its reader: whole, in their language, on their clock, and harmless whatever names say."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.providers.email import message_of
from bot.providers.messages import Email
from bot.words import LOCALES, Words
from conversations import notices
from conversations.money.amounts import Money
from conversations.notices import BookingFacts, Person, Side
from conversations.values import Locale
from tests.workers.mails import AYU, BUDI, CASES, LINKS, NOW, SENDER, VISIT, cancellations, matter
from workers.letters import Letters, Links, UnknownKind
from workers.mail_templates import MAILS, OURS, Templates, slug
from workers.short_messages import is_gsm, segments

EVERY_CASE = pytest.mark.parametrize(("kind", "side"), CASES)
EVERY_LOCALE = pytest.mark.parametrize("locale", LOCALES)
EVIL = '<script>alert("1")</script> & \u202eCo'


@pytest.fixture(scope="module")
def loaded() -> Words:
    return Words()


@pytest.fixture
def words(loaded: Words) -> Words:
    """Words that have reported nothing yet."""
    loaded.gaps.clear()
    return loaded


@pytest.fixture(scope="module")
def letters(loaded: Words) -> Letters:
    return Letters(loaded, Templates(loaded), SENDER)


class _Reader(HTMLParser):
    """What somebody reads of a mail, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._hidden = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "head"):
            self._hidden = tag
        self.links += [value or "" for name, value in attrs if tag == "a" and name == "href"]

    def handle_endtag(self, tag: str) -> None:
        if tag in (self._hidden, "head"):
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.texts.append(" ".join(data.split()))


def read(email: Email) -> str:
    return "\n".join(_Reader(email.html).texts)


# --- whole and in the reader's language -------------------------------------------------------------------------------


@EVERY_LOCALE
@EVERY_CASE
def test_every_notice_is_a_whole_mail(letters: Letters, words: Words, kind: str, side: Side, locale: Locale) -> None:
    email = letters.email(matter(kind, side, locale))

    for text in (email.subject, email.text, read(email)):
        assert text.strip()
        assert not re.search(r"\{\w|None|Undefined|<|mj-|…", text), text
    assert f'lang="{locale}"' in email.html
    assert (email.to, email.from_name) == ((BUDI if side == "customer" else AYU).email, "Janji")
    assert not words.gaps


@EVERY_CASE
def test_no_english_is_left_in_indonesian(letters: Letters, words: Words, kind: str, side: Side) -> None:
    indonesian = words.catalog("id")
    english = {text for text, translated in indonesian.items() if text != translated and len(text) > 3}
    told = matter(kind, side, "id")
    email, sms, push = letters.email(told), letters.sms(told), letters.push(told, "normal", None, NOW)
    lines = {line.strip(" -") for text in (email.text, read(email)) for line in text.splitlines()}
    labels = {line.partition(":")[0] for line in lines}

    assert not english & (lines | labels | {push.title, push.body})
    assert not re.search(r"\b(the|your|booking|visit|with|and)\b", f"{email.subject} {sms.text} {read(email)}".lower())


@EVERY_LOCALE
@EVERY_CASE
def test_the_text_twin_says_what_the_mail_says(letters: Letters, kind: str, side: Side, locale: Locale) -> None:
    email = letters.email(matter(kind, side, locale))
    # The preheader stands above the mail, and repeats what is said in it.
    shown = _Reader(email.html).texts[1:]
    twin = " ".join(email.text.split())

    assert [text for text in shown if text not in twin] == []
    assert [link for link in _Reader(email.html).links if link not in email.text] == []


@pytest.mark.parametrize(
    ("timezone", "when"),
    [
        ("Asia/Jakarta", "Wednesday, 2 December 2026, 15:00 WIB"),
        ("Asia/Makassar", "Wednesday, 2 December 2026, 16:00 WITA"),
        ("Asia/Jayapura", "Wednesday, 2 December 2026, 17:00 WIT"),
        ("Europe/Berlin", "Wednesday, 2 December 2026, 09:00 CET"),
        ("Nowhere/Land", "Wednesday, 2 December 2026, 08:00 UTC"),
    ],
)
def test_each_reads_the_hour_of_their_own_clock(letters: Letters, timezone: str, when: str) -> None:
    told = matter("booking_confirmed", "customer", person=replace(BUDI, locale="en", timezone=timezone))

    email = letters.email(told)
    assert when in read(email)
    assert when in email.text.replace("\N{NO-BREAK SPACE}", " ")
    assert when.rpartition(", ")[2] in letters.sms(told).text


@pytest.mark.parametrize(
    ("starts_at", "clock"),
    [
        (datetime(2027, 3, 28, 0, 30, tzinfo=UTC), "01:30 CET"),
        (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "03:30 CEST"),
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), "02:30 CEST"),
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), "02:30 CET"),
    ],
)
def test_the_night_of_a_change_of_clocks_says_which_hour_it_means(
    letters: Letters, starts_at: datetime, clock: str
) -> None:
    berliner = replace(BUDI, locale="en", timezone="Europe/Berlin")
    told = matter("reminder_24h", "customer", person=berliner, of=replace(VISIT, starts_at=starts_at))
    tonight = replace(told, now=starts_at - timedelta(minutes=10))

    assert clock in read(letters.email(told))
    assert clock in letters.sms(told).text
    assert f"today at {clock}" in letters.push(tonight, "high", None, starts_at).body


@EVERY_CASE
def test_a_mail_arrives_as_it_was_written(letters: Letters, kind: str, side: Side) -> None:
    mail = letters.email(matter(kind, side, "id", of=called("Müller & Söhne, Γιώργος 🌹")))
    arrived = message_from_bytes(message_of(mail, SENDER, NOW).as_bytes(), policy=SMTP)
    calendars = [part.get_content() for part in arrived.walk() if part.get_content_type() == "text/calendar"]

    assert arrived["Message-ID"] == mail.message_id
    # Where a subject is folded, Python may lose the space between a word in ASCII and one that is not.
    assert arrived["Subject"].replace(" ", "") == mail.subject.replace(" ", "")
    assert arrived["From"].addresses[0].display_name == mail.from_name
    for kind_of_text, written in (("plain", mail.text), ("html", mail.html)):
        body = arrived.get_body((kind_of_text,))
        assert body
        assert body.get_content().split() == written.split()
    invited = [mail.invitation.content.decode().splitlines()] if mail.invitation else []
    assert [calendar.splitlines() for calendar in calendars] == invited


# --- what each says ---------------------------------------------------------------------------------------------------


def test_a_confirmation_says_all_about_the_booking(letters: Letters) -> None:
    email = letters.email(matter("booking_confirmed", "customer"))

    assert email.subject == "Your booking is confirmed: Balinese massage, Wed 2 Dec 15:00 WIB"
    facts = ("Hello Budi Santoso,", "Balinese massage", "Ayu Lestari", "90 minutes", VISIT.address, "Rp360.000")
    for fact in (*facts, "JNJ-4C1F", "What happens next", "Add to Google Calendar"):
        assert fact in read(email), fact
    assert {LINKS.chat, LINKS.preferences, LINKS.app_store, LINKS.play_store} <= set(_Reader(email.html).links)
    assert email.invitation
    assert email.invitation.method == "REQUEST"


def test_a_receipt_says_what_was_paid_when_and_for_what(letters: Letters) -> None:
    email = letters.email(matter("payment_confirmed", "customer"))

    for fact in ("Rp360.000", "JNJ-4C1F", "Tuesday, 1 December 2026", "Balinese massage"):
        assert fact in read(email)
    assert email.invitation is None


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("IDR", 25_000_000, "Rp250.000"), ("JPY", 12_000, "¥12,000"), ("KWD", 12_345, "KWD12.345"), ("USD", 2500, "$25")],
)
def test_amounts_have_the_digits_of_their_currency(letters: Letters, currency: str, amount: int, shown: str) -> None:
    paid = matter("payment_confirmed", "customer", of=replace(VISIT, price=Money(amount, currency)))

    # CLDR puts no-break spaces between some currencies and their amounts.
    assert shown in read(letters.email(paid)).replace("\xa0", "")
    assert shown in letters.sms(paid).text.replace(f"{currency} ", currency)


@pytest.mark.parametrize(
    ("way", "booking_facts"), list(cancellations()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_cancellation_says_what_happens_to_the_money(letters: Letters, way: str, booking_facts: BookingFacts) -> None:
    settled = {
        "nothing_paid": "Nothing was charged.",
        "refunded": "Rp360.000 will be refunded.",
        "partly_refunded": "Rp180.000 will be refunded; Rp180.000 is not refundable.",
        "kept": "Rp360.000 is not refundable.",
        "all_kept": "The payment is not refundable.",
    }[way]
    told = matter("booking_cancelled", "customer", of=booking_facts)
    email = letters.email(told)

    assert settled in read(email)
    assert settled in email.text
    assert settled in letters.sms(told).text
    assert settled in letters.push(told, "normal", None, NOW).body
    assert ("until your bank shows" in read(email)) == ("will be refunded" in settled)
    assert email.invitation
    assert email.invitation.method == "CANCEL"
    to_therapist = matter("booking_cancelled", "therapist", of=booking_facts)
    assert settled not in letters.email(to_therapist).text


def test_of_money_that_another_system_took_nothing_is_said(letters: Letters) -> None:
    foreign = replace(VISIT, conversation_id=None, customer=replace(BUDI, id="customer:77"))
    email = letters.email(matter("booking_cancelled", "customer", of=foreign))

    assert "charged" not in email.text
    assert "refund" not in email.text


def test_of_a_payment_that_we_took_no_refund_is_promised_before_somebody_has_said_so(letters: Letters) -> None:
    cancelled = replace(VISIT, status="cancelled", paid=VISIT.price, refund=None)
    email = letters.email(matter("booking_cancelled", "customer", of=cancelled))

    assert "charged" not in email.text
    assert "refund" not in email.text


def test_a_subject_names_nobody(letters: Letters) -> None:
    for kind, side in CASES:
        subject = letters.email(matter(kind, side)).subject
        assert not re.search("Budi|Ayu|Sultan|4C1F", subject)


def test_only_what_may_be_switched_off_can_be_unsubscribed(letters: Letters) -> None:
    for kind, side in CASES:
        email = letters.email(matter(kind, side))
        assert (email.unsubscribe_url is None) == (kind in notices.NEEDED)
        assert ("Unsubscribe" in read(email)) == (kind not in notices.NEEDED)
        assert "Choose what we send you" in read(email)


def test_the_same_row_has_the_same_message_id_and_another_row_another(letters: Letters) -> None:
    first, again, other = (letters.email(matter("reminder_2h", "customer", row_id=row)) for row in ("a b", "a b", "ab"))

    assert first.message_id == again.message_id != other.message_id
    assert re.fullmatch(r"<[0-9a-f]{32}@janji\.example>", first.message_id)


@EVERY_CASE
def test_what_is_sent_again_is_the_same_to_the_letter(letters: Letters, kind: str, side: Side) -> None:
    told = matter(kind, side)

    assert letters.email(told) == letters.email(told)


def test_a_later_reminder_takes_the_place_of_an_earlier_one_on_a_phone(letters: Letters) -> None:
    def key(kind: str, booking_id: str = "b_1") -> str:
        told = matter(kind, "therapist", of=replace(VISIT, booking_id=booking_id))
        return letters.push(told, "normal", None, NOW).collapse_key

    assert key("reminder_5h") == key("reminder_1h") == key("starts_soon")
    assert len({key("reminder_5h"), key("reminder_5h", "b_2"), key("booking_moved"), key("message_waiting")}) == 4
    assert len(key("reminder_5h")) <= 32


def test_a_push_says_how_long_it_is_worth_showing(letters: Letters) -> None:
    told = matter("reminder_3h", "customer")
    push = letters.push(told, "high", "app-download", NOW + timedelta(minutes=90))

    assert (push.ttl_s, push.urgency, push.sound, push.url) == (5400, "high", "app-download", LINKS.chat)
    assert push.data == {"kind": "reminder_3h", "booking_id": VISIT.booking_id}
    assert letters.push(told, "low", None, NOW - timedelta(hours=1)).ttl_s == 0


def test_a_kind_without_words_is_refused(letters: Letters) -> None:
    with pytest.raises(UnknownKind):
        letters.email(matter("no_such_kind", "customer"))


# --- names that are long, hostile or not there ------------------------------------------------------------------------


def called(name: str) -> BookingFacts:
    """The booking whose people, service, brand and address all have this name."""
    return replace(
        VISIT,
        customer=replace(BUDI, name=name),
        therapist=replace(AYU, name=name),
        service_names={"en": name},
        brand=name,
        address=name,
    )


@EVERY_CASE
def test_what_people_call_themselves_is_text_in_a_mail(letters: Letters, kind: str, side: Side) -> None:
    email = letters.email(matter(kind, side, of=called(EVIL)))

    assert "<script" not in email.html
    assert '<script>alert("1")</script> & Co' in read(email)
    assert '<script>alert("1")</script> & Co' in email.text
    assert "\u202e" not in email.html + email.text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Budi\r\nBcc: eve@evil.example", "Budi Bcc: eve@evil. example"),
        ("Menang bit.ly/abc123", "Menang bit. ly abc123"),
        ("J.K. Rowling", "J. K. Rowling"),
        ("Budi\x00\x1b\x0b\ud800", "Budi"),
        ("You won! https://evil.example/now", "You won!"),
        ("www.evil.example", ""),
        ("{{ 7 * 7 }} {% raise %}", "{{ 7 * 7 }} {% raise %}"),
        ("mj-text &amp; </mj-text>", "mj-text &amp; </mj-text>"),
    ],
)
def test_a_name_breaks_no_line_and_leads_nowhere(letters: Letters, name: str, shown: str) -> None:
    email = letters.email(matter("booking_confirmed", "customer", of=called(name)))

    assert email.to_name == shown
    assert (f"Hello {shown}," if shown else "Hello,") in read(email)
    assert "\n" not in email.subject + email.from_name + email.to_name
    assert "https://evil" not in email.text


@given(st.lists(st.text(max_size=80), min_size=6, max_size=6), st.sampled_from(CASES))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_no_text_of_anybodys_stops_a_letter(letters: Letters, texts: list[str], case: tuple[str, Side]) -> None:
    customer, therapist, service, brand, address, reference = texts
    of = replace(
        VISIT,
        customer=replace(BUDI, name=customer),
        therapist=replace(AYU, name=therapist),
        service_names={"en": service},
        brand=brand,
        address=address,
        reference=reference,
    )
    email = letters.email(matter(*case, of=of))

    assert (email.html + email.text).encode()
    assert not set("\r\n") & set(email.subject + email.from_name + email.to_name)
    assert segments(letters.sms(matter(*case, of=replace(of, reference="JNJ-4C1F"))).text) <= 2


@EVERY_CASE
def test_nothing_that_is_not_known_stops_a_letter(letters: Letters, words: Words, kind: str, side: Side) -> None:
    other = "therapist" if side == "customer" else "customer"
    bare = replace(VISIT, service_names={}, price=None, address=None, conversation_id=None, brand="", **{other: None})
    told = matter(kind, side, of=bare, links=Links())
    email, sms, push = letters.email(told), letters.sms(told), letters.push(told, "normal", None, NOW)

    for text in (email.subject, email.text, read(email), sms.text, push.title, push.body):
        assert not re.search(r"None|…|\{|\.\.|  ,", text), text
    assert not [link for link in _Reader(email.html).links if "calendar" not in link]
    assert not words.gaps


def test_a_booking_of_another_system_is_told_in_its_own_names(letters: Letters) -> None:
    john = Person("customer:42", "John Doe", "en", "America/New_York", "+1234567890", "john@mail.example")
    cut = BookingFacts(
        booking_id="5b0f1a52-6c7e-4a3e-9a57-2f6f1d0c8a11",
        reference="5B0F1A52",
        revision=0,
        status="confirmed",
        starts_at=NOW,
        duration=30,
        customer=john,
        therapist=Person("therapist:other:7", "Mike", "en", "America/New_York"),
        service_names={"en": "Haircut"},
        brand="Downtown Barbers",
        price=Money(2500, "USD"),
    )
    told = matter("booking_confirmed", "customer", of=cut, links=Links())

    assert letters.email(told).from_name == "Downtown Barbers"
    assert "Janji" not in letters.email(told).text + letters.sms(told).text
    assert letters.sms(told).text == (
        "Downtown Barbers: Your booking is confirmed. Haircut with Mike, Mon 30 Nov 22:00 EST. Ref 5B0F1A52."
    )


# --- short messages ---------------------------------------------------------------------------------------------------


@EVERY_LOCALE
@EVERY_CASE
def test_an_ordinary_short_message_is_one_segment(letters: Letters, kind: str, side: Side, locale: Locale) -> None:
    told = matter(kind, side, locale, of=replace(VISIT, address="Jl. Kemang 1"))
    text = letters.sms(told).text

    assert is_gsm(text)
    assert segments(text) == 1, (len(text), text)


@pytest.mark.parametrize("name", ["Ayu " * 60, "Željka Žižić " * 9, "สมหญิง" * 20, "\N{ROSE}" * 90, "[€]" * 40, "x"])
@EVERY_LOCALE
@EVERY_CASE
def test_whatever_names_are_two_segments_hold_the_time_the_reference_and_the_link(
    letters: Letters, kind: str, side: Side, locale: Locale, name: str
) -> None:
    told = matter(kind, side, locale, of=replace(called(name), brand="Janji"))
    text = letters.sms(told).text

    assert segments(text) <= 2, text
    assert text.endswith("https://janji.example/chat")
    assert not re.search(r"\.\.\.\.| ,|\. ,", text), text
    if kind not in ("payment_confirmed", "payment_failed", "message_waiting", "new_offer"):
        assert re.search(r"2 De[cs] 1[56][:.]00 WI(B|TA)", text)
    if kind != "message_waiting":
        assert "JNJ-4C1F" in text


def test_how_to_opt_out_is_said_where_the_law_wants_it_and_only_of_what_can_be_ended(letters: Letters) -> None:
    american = replace(BUDI, phone="+12125550123", locale="en")

    def text(kind: str, person: Person) -> str:
        return letters.sms(matter(kind, "customer", person=person)).text

    assert text("reminder_2h", american).endswith(" Reply STOP to opt out.")
    assert "STOP" not in text("booking_confirmed", american)
    assert "STOP" not in text("reminder_2h", BUDI)


# --- templates --------------------------------------------------------------------------------------------------------


def test_there_is_a_text_twin_for_every_mail() -> None:
    files = {path.name for path in OURS.iterdir()}

    assert files == {f"{name}.{kind}" for name in (*MAILS, "layout", "parts") for kind in ("mjml", "txt")}


def test_nothing_is_fetched_when_a_mail_is_opened(letters: Letters) -> None:
    for kind, side in CASES:
        html = letters.email(matter(kind, side)).html
        assert not re.search(r"<img|<link|@import|url\(|src=", html)


def test_every_tag_of_a_template_is_one_that_mjml_knows(letters: Letters) -> None:
    """An unknown one would be dropped without a word."""
    for path in OURS.glob("*.mjml"):
        tags = set(re.findall(r"<(mj-?[a-z-]*)", path.read_text(encoding="utf-8")))
        assert tags <= {
            *("mjml", "mj-head", "mj-title", "mj-preview", "mj-breakpoint", "mj-attributes", "mj-all", "mj-class"),
            "mj-style",
            *("mj-body", "mj-wrapper", "mj-section", "mj-column", "mj-text", "mj-table", "mj-button"),
        }, path.name


def test_the_files_of_a_brand_win_one_by_one(words: Words, tmp_path: Path) -> None:
    (tmp_path / "klinik-spa").mkdir()
    (tmp_path / "klinik-spa/moved.txt").write_text("Moved: {{ visit.when }}")
    branded = Letters(words, Templates(words, tmp_path), SENDER)
    own = replace(VISIT, brand="Klinik & Spa!")
    moved = branded.email(matter("booking_moved", "customer", of=own))

    assert moved.text == "Moved: Wednesday, 2 December 2026,\N{NO-BREAK SPACE}15:00\N{NO-BREAK SPACE}WIB\n"
    assert "This is the new one" in read(moved)
    assert "Everything is set" in branded.email(matter("booking_confirmed", "customer", of=own)).text
    assert "This is the new one" in branded.email(matter("booking_moved", "customer")).text


@pytest.mark.parametrize("brand", ["../..", "/etc", "..", "", "Ωμέγα"])
def test_a_brand_leads_to_no_other_folder(brand: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]*", slug(brand))


@pytest.mark.parametrize(
    ("mjml", "error"),
    [
        ("<mjml><mj-body><mj-section></mj-body></mjml>", "OSError"),
        ("<mjml><mj-body>{{ nobody_knows }}</mj-body></mjml>", "UndefinedError"),
        ("<mjml><mj-body>{{ 1 / 0 }}</mj-body></mjml>", "ZeroDivisionError"),
        ("{% if %}", "TemplateSyntaxError"),
    ],
)
def test_a_brands_broken_template_gives_way_to_ours_and_is_logged(
    words: Words, tmp_path: Path, mjml: str, error: str
) -> None:
    (tmp_path / "janji").mkdir()
    (tmp_path / "janji/moved.mjml").write_text(mjml)
    with capture_logs() as logs:
        moved = Letters(words, Templates(words, tmp_path), SENDER).email(matter("booking_moved", "customer"))

    assert "This is the new one" in read(moved)
    assert logs == [
        {
            "event": "a brand's template is broken",
            "log_level": "error",
            "brand": "janji",
            "mail": "moved",
            "error": error,
        }
    ]


def test_a_broken_template_of_our_own_is_not_sent(words: Words, tmp_path: Path) -> None:
    (tmp_path / "moved.mjml").write_text("<mjml><mj-body><mj-section></mj-body></mjml>")
    (tmp_path / "moved.txt").write_text("")
    with pytest.raises(OSError, match="unexpected end of stream"):
        Letters(words, Templates(words, ours=tmp_path), SENDER).email(matter("booking_moved", "customer"))
