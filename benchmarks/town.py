"""A town full of therapists, the same one at every run."""

from __future__ import annotations

import random
from typing import Any

from bot.identity import new_id
from bot.services import Services
from bot.store.therapists import TherapistRecord

# Degrees of latitude and longitude.
CENTRE = (-6.2088, 106.8456)
KILOMETRE_IN_DEGREES = 1 / 111.3
# The town is a square: about three therapists to the square kilometre where ten thousand live.
SIDE_KM = 60.0
AT_ONCE = 1000


def therapist_at(number: int, latitude: float, longitude: float) -> TherapistRecord:
    return TherapistRecord(
        id=new_id("t"),
        name=f"Sari {number}",
        phone=f"+62812{number:08d}",
        photo="/photos/01.svg",
        rating=4.0 + number % 10 / 10,
        rating_count=number % 500,
        gender="male" if number % 4 == 0 else "female",
        specialties=("Balinese", "Deep tissue"),
        languages=("Bahasa Indonesia", "English"),
        durations=(60, 90, 120),
        latitude=latitude,
        longitude=longitude,
        is_available=True,
        is_simulated=False,
        locale="en",
        visits=0,
    )


def somewhere(chance: random.Random, side_km: float = SIDE_KM) -> tuple[float, float]:
    """Latitude and longitude of a point in the square around the centre."""
    half = side_km / 2 * KILOMETRE_IN_DEGREES
    return CENTRE[0] + chance.uniform(-half, half), CENTRE[1] + chance.uniform(-half, half)


async def settle(services: Services, count: int) -> None:
    """Therapists all over the town, three in four of them available; one is added by the program, the rest resemble."""
    chance = random.Random(count)
    first = therapist_at(0, *somewhere(chance))
    await services.therapists.add(first)
    collection = services.database["therapists"]
    model: dict[str, Any] = await collection.find_one({"_id": first.id})
    others = [_resembling(model, number, chance) for number in range(1, count)]
    for start in range(0, len(others), AT_ONCE):
        await collection.insert_many(others[start : start + AT_ONCE], ordered=False)


def _resembling(model: dict[str, Any], number: int, chance: random.Random) -> dict[str, Any]:
    latitude, longitude = somewhere(chance)
    therapist = therapist_at(number, latitude, longitude)
    return {
        **model,
        "_id": therapist.id,
        "name": therapist.name,
        "phone": therapist.phone,
        "rating": therapist.rating,
        "gender": therapist.gender,
        "location": {"type": "Point", "coordinates": [longitude, latitude]},
        "available": chance.random() < 0.75,
    }
