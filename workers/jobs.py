"""The jobs that web processes ask for by name. Each may run twice and must come to the same."""

from __future__ import annotations

import asyncio

from bot.services import connected, open_ground, open_post
from bot.settings.loading import load_settings
from bot.store.notifications import Queue
from bot.store.therapists import Therapists
from workers.post_office import post_office
from workers.sign_in_codes import send_code


def count_visits(therapist_id: str) -> int:
    """Bring a therapist's completed visits and rating up to what the bookings say, and return the visits."""
    return asyncio.run(_count_visits(therapist_id))


async def _count_visits(therapist_id: str) -> int:
    # A job has an event loop of its own, and a database client belongs to one loop: it is built and closed here.
    async with connected(load_settings()) as database:
        completed = {"therapist.id": therapist_id, "state": "completed"}
        visits: int = await database["bookings"].count_documents(completed)
        rated = database["bookings"].find({**completed, "rating.stars": {"$exists": True}}, {"rating.stars": 1})
        stars = [booking["rating"]["stars"] async for booking in rated]
        await Therapists(database["therapists"]).keep_figures(therapist_id, visits, stars)
        return visits


def send_sign_in_code(nonce: str) -> None:
    """Send the code that was made from this nonce to whom it belongs."""
    asyncio.run(_send_sign_in_code(nonce))


async def _send_sign_in_code(nonce: str) -> None:
    settings = load_settings()
    async with connected(settings) as database:
        await send_code(await open_post(settings, database), nonce)


def beat() -> None:
    """Show that jobs are done."""
    asyncio.run(_beat())


async def _beat() -> None:
    settings = load_settings()
    async with connected(settings) as database:
        ground = await open_ground(settings, database)
        await ground.heartbeats.beat("jobs", ground.clock.now())


def deliver(queue: Queue, part: int | None) -> int:
    """Deliver what is due in this part of the queue, or in all of it, and return how many rows were looked at."""
    return asyncio.run(_deliver(queue, part))


async def _deliver(queue: Queue, part: int | None) -> int:
    settings = load_settings()
    async with connected(settings) as database, post_office(await open_post(settings, database)) as office:
        return await office.drain(queue, part)
