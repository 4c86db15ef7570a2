"""What the demonstration is made of: a menu with prices, therapists around Jakarta and Bali, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bot.settings.settings import DEMO_PHONE
from bot.store.therapists import TherapistRecord
from conversations.ids import derived_id
from conversations.money.amounts import Money
from conversations.values import Locale, Price, Service

BALI = (-8.6905, 115.1660)

_THOUSAND_RUPIAH = 100_000  # in minor units
_LENGTHS = (60, 90, 120)


def _prices(*thousands: int) -> tuple[Price, ...]:
    """Thousands of rupiah for 60, 90 and 120 minutes."""
    paired = zip(_LENGTHS, thousands, strict=True)
    return tuple(Price(minutes, Money(price * _THOUSAND_RUPIAH, "IDR")) for minutes, price in paired)


CATALOGUE = (
    Service(
        id="balinese",
        names={"en": "Balinese massage", "id": "Pijat Bali"},
        descriptions={
            "en": "Long strokes, gentle stretches and warm oil: the island's classic, from head to toe.",
            "id": "Usapan panjang, peregangan lembut, dan minyak hangat: pijat klasik Bali dari kepala hingga kaki.",
        },
        prices=_prices(250, 350, 450),
    ),
    Service(
        id="deep_tissue",
        names={"en": "Deep tissue massage", "id": "Pijat deep tissue"},
        descriptions={
            "en": "Slow, firm pressure for a stiff neck, tight shoulders and tired legs.",
            "id": "Tekanan kuat dan perlahan untuk leher kaku, bahu tegang, dan kaki lelah.",
        },
        prices=_prices(290, 400, 510),
    ),
    Service(
        id="reflexology",
        names={"en": "Reflexology", "id": "Refleksi"},
        descriptions={
            "en": "Pressure points of feet, hands and shoulders. You stay dressed; a chair is enough.",
            "id": "Titik-titik tekan di kaki, tangan, dan bahu. Tetap berpakaian; cukup sediakan kursi.",
        },
        prices=_prices(200, 280, 360),
    ),
    Service(
        id="aromatherapy",
        names={"en": "Aromatherapy massage", "id": "Pijat aromaterapi"},
        descriptions={
            "en": "Soft, slow strokes with lemongrass, lavender or frangipani oil, to unwind and to sleep well.",
            "id": "Usapan lembut dengan minyak serai, lavender, atau kamboja, agar rileks dan tidur nyenyak.",
        },
        prices=_prices(300, 420, 540),
    ),
)

# Which of the drawn portraits in `pages/photos` show men.
_PHOTOS_OF_MEN = frozenset({2, 4, 6, 9})


class _Person(NamedTuple):
    name: str
    photo: int
    rating: float
    rating_count: int
    specialties: tuple[str, ...]
    other_languages: tuple[str, ...]
    latitude: float
    longitude: float
    durations: tuple[int, ...] = _LENGTHS


# The first signs in at the console with DEMO_PHONE; everybody else answers by themselves.
_PEOPLE = (
    # around Jakarta
    _Person("Ayu Lestari (you)", 1, 4.9, 187, ("Balinese", "Relaxation"), ("English",), -6.2135, 106.8420),
    _Person("Sari Wulandari", 3, 4.9, 312, ("Balinese", "Aromatherapy"), ("English",), -6.1950, 106.8322),
    _Person("Budi Santoso", 6, 4.8, 256, ("Deep tissue", "Sports"), ("Javanese",), -6.2215, 106.8262),
    _Person("Dewi Anggraini", 5, 4.7, 148, ("Prenatal", "Relaxation"), (), -6.2260, 106.8580, (60, 90)),
    _Person("Rina Kartika", 10, 4.8, 203, ("Swedish", "Aromatherapy"), ("English",), -6.1925, 106.8420),
    _Person("Agus Prasetyo", 4, 4.6, 97, ("Traditional Javanese", "Reflexology"), ("Javanese",), -6.2150, 106.8705),
    _Person("Siti Rahmawati", 5, 4.9, 421, ("Traditional Javanese", "Lymphatic drainage"), (), -6.2290, 106.8320),
    _Person("Hendra Gunawan", 9, 4.5, 64, ("Shiatsu", "Deep tissue"), ("Mandarin", "English"), -6.1765, 106.8300),
    _Person("Maya Puspita", 12, 4.8, 176, ("Balinese", "Hot stone"), ("English",), -6.2270, 106.8025),
    _Person("Nurul Hidayah", 5, 4.7, 132, ("Reflexology", "Relaxation"), ("Javanese",), -6.1930, 106.8860),
    _Person("Dimas Nugroho", 2, 4.4, 41, ("Sports", "Deep tissue"), ("English",), -6.2440, 106.8000),
    _Person("Ratna Kusuma", 11, 5.0, 88, ("Aromatherapy", "Hot stone"), ("English", "Japanese"), -6.2607, 106.8135),
    _Person("Fitri Handayani", 7, 4.6, 119, ("Balinese", "Swedish"), (), -6.1565, 106.8540),
    _Person("Joko Susanto", 9, 4.8, 334, ("Traditional Javanese", "Reflexology"), ("Javanese",), -6.2340, 106.9110),
    _Person("Indah Permatasari", 8, 4.9, 267, ("Balinese", "Prenatal"), ("English",), -6.2655, 106.7845),
    _Person("Lina Marlina", 3, 4.5, 73, ("Thai", "Relaxation"), (), -6.1930, 106.7700, (60, 90)),
    _Person("Rizky Ramadhan", 4, 4.3, 28, ("Sports", "Swedish"), ("English",), -6.1670, 106.7900),
    _Person("Yuni Astuti", 10, 4.7, 154, ("Shiatsu", "Reflexology"), ("Japanese",), -6.1600, 106.9050),
    _Person("Endang Setyowati", 1, 4.9, 389, ("Traditional Javanese", "Prenatal"), ("Javanese",), -6.2840, 106.8440),
    _Person("Eko Saputra", 6, 4.6, 102, ("Deep tissue", "Hot stone"), ("Javanese",), -6.2910, 106.7990),
    _Person("Wati Susilowati", 12, 4.8, 221, ("Lymphatic drainage", "Swedish"), (), -6.1170, 106.7900),
    _Person("Fajar Hidayat", 9, 4.5, 57, ("Thai", "Sports"), ("English",), -6.2750, 106.7350, (60, 90)),
    _Person("Tuti Suryani", 7, 4.7, 140, ("Reflexology", "Relaxation"), (), -6.2380, 106.9920),
    _Person("Bambang Wijaya", 6, 4.8, 298, ("Traditional Javanese", "Deep tissue"), ("Javanese",), -6.3650, 106.8950),
    _Person("Novi Safitri", 11, 4.6, 85, ("Aromatherapy", "Balinese"), ("Mandarin",), -6.3900, 106.8300),
    _Person("Yusuf Maulana", 2, 4.4, 36, ("Swedish", "Sports"), ("English",), -6.3010, 106.6680),
    # around Bali
    _Person("Ni Luh Sukerti", 8, 4.9, 356, ("Balinese", "Hot stone"), ("English", "Japanese"), -8.6780, 115.1725),
    _Person("I Wayan Sudarma", 2, 4.8, 274, ("Balinese", "Deep tissue"), ("English",), -8.7020, 115.1790),
    _Person("Kadek Ayu Pratiwi", 10, 4.9, 193, ("Aromatherapy", "Relaxation"), ("English",), -8.6600, 115.1560),
    _Person("Ni Made Ariani", 1, 4.7, 128, ("Balinese", "Prenatal"), (), -8.7190, 115.1745, (60, 90)),
    _Person("I Made Suardana", 9, 4.6, 91, ("Sports", "Deep tissue"), ("English",), -8.6490, 115.1390),
    _Person("Ni Wayan Sri Astuti", 3, 5.0, 142, ("Lymphatic drainage", "Balinese"), ("English",), -8.6560, 115.2170),
    _Person("Ni Komang Dewi", 12, 4.8, 237, ("Aromatherapy", "Swedish"), ("Mandarin", "English"), -8.6715, 115.2290),
    _Person("I Nyoman Arta", 4, 4.5, 69, ("Shiatsu", "Reflexology"), ("Japanese",), -8.6890, 115.2570),
    _Person("Ni Ketut Suarniti", 8, 4.9, 308, ("Balinese", "Relaxation"), (), -8.7850, 115.1680),
    _Person("Ketut Wirawan", 6, 4.7, 115, ("Thai", "Deep tissue"), ("English",), -8.8010, 115.2260),
    _Person("Ni Putu Eka Yanti", 11, 4.6, 104, ("Reflexology", "Hot stone"), (), -8.5420, 115.1260),
    _Person("I Gede Mahendra", 9, 4.8, 166, ("Balinese", "Sports"), ("English",), -8.8200, 115.0990),
    _Person("Ni Nyoman Murni", 7, 4.9, 245, ("Balinese", "Aromatherapy"), ("English", "Japanese"), -8.5100, 115.2600),
    _Person("Komang Adi Putra", 4, 4.4, 33, ("Swedish", "Relaxation"), (), -8.5980, 115.2750, (60, 90)),
)


def _record(index: int, person: _Person) -> TherapistRecord:
    phone = f"+62812{index:08d}"
    return TherapistRecord(
        id=derived_id("t", "demo", phone),
        name=person.name,
        phone=phone,
        photo=f"/photos/{person.photo:02d}.svg",
        rating=person.rating,
        rating_count=person.rating_count,
        gender="male" if person.photo in _PHOTOS_OF_MEN else "female",
        specialties=person.specialties,
        languages=("Bahasa Indonesia", *person.other_languages),
        durations=person.durations,
        latitude=person.latitude,
        longitude=person.longitude,
        is_available=False,  # until they come online
        is_simulated=phone != DEMO_PHONE,
        locale="id",
        visits=0,
    )


THERAPISTS = tuple(_record(index, person) for index, person in enumerate(_PEOPLE))

# --- what simulated therapists say ------------------------------------------------------------------------------------

# Nobody knows yet which language the guest speaks.
HELLOS = (
    "Halo {guest}! Saya siap-siap dan segera berangkat. / Hi! I'm getting ready and will be on my way shortly.",
    "Halo {guest}, terima kasih sudah memesan. / Hello, and thank you for booking me!",
    "Salam kenal, {guest}! Ada pesan untuk saya? / Nice to meet you! Is there anything I should know?",
)

# By language, and whether the guest has asked something.
REPLIES: Mapping[tuple[Locale, bool], tuple[str, ...]] = {
    ("en", False): ("Got it, thank you!", "Thanks for telling me.", "All right, noted!", "Perfect, thank you."),
    ("en", True): (
        "Yes, of course!",
        "Sure, no problem.",
        "I'll take care of it.",
        "Sure – I bring all that's needed.",
    ),
    ("id", False): ("Baik, terima kasih infonya!", "Siap, saya catat ya.", "Oke, siap!", "Baik Kak, terima kasih."),
    ("id", True): ("Bisa, tentu!", "Siap, tidak masalah.", "Nanti saya bantu ya, Kak.", "Bisa, semuanya saya bawa."),
}

# Words that give Indonesian away in a short message, and that nobody writes in English.
_INDONESIAN = """
ada aja anda apa apakah atas bagaimana baik bapak bawa belakang belok berapa bisa boleh buka dekat depan dengan dulu gak
gedung halo hari ibu iya jalan jangan kak kakak kalau kamar kami kanan kapan karena kasih kenapa kiri kok lagi lantai
lewat mana masih masuk mau mbak menit minyak mohon nanti nggak nomor pagar pagi pakai parkir perlu pintu pijat rumah
sampai satpam sama saya sebelah sebentar selamat semua siang sini sudah tapi terima tidak tolong tunggu udah untuk yang
"""
INDONESIAN_WORDS = frozenset(_INDONESIAN.split())
