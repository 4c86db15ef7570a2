"""Simulated therapists for demonstrations: clients of the public protocol who answer, travel and chat by themselves.

What one of them decides, and the id of each command, follows from its cause: an offer that is seen again is answered
the same way, and what is said again is said once. So after any interruption they go on from what the snapshot shows.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import socketio
import structlog
from socketio.exceptions import DisconnectedError, SocketIOError

from bot.cli.demo_data import HELLOS, INDONESIAN_WORDS, REPLIES
from bot.identity import therapist_feed
from bot.logs.failures import why
from bot.store.therapists import TherapistRecord
from conversations.ids import derived_id

log = structlog.get_logger()

NAMESPACE = "/therapist"
# Longer than the server takes for a command before it says that it can't.
ACK_TIMEOUT_S = 15.0
# Refusals of the moment: the same command again may succeed.
PASSING = frozenset({"unavailable", "too_many_requests"})
# A server that starts misses a few tries; after so many in a row somebody should know.
TRIES_WITHOUT_WARNING = 20

Data = Mapping[str, Any]
Range = tuple[float, float]
Sign = Callable[[str], str]
News = asyncio.Queue[tuple[Callable[[Data], None], Data] | None]


@dataclass(slots=True)
class Pace:
    """How long everything takes, as the least and the most seconds, and how likely it is; plans look when they wait."""

    come_online_s: Range = (0.0, 8.0)
    return_s: Range = (0.5, 3.0)
    answer_s: Range = (2.0, 7.0)
    leave_s: Range = (5.0, 7.0)
    notice_delay_s: Range = (3.0, 5.0)
    travel_s: Range = (12.0, 16.0)
    treat_s: Range = (18.0, 22.0)
    reply_s: Range = (2.0, 4.0)
    accepts: float = 0.7
    declines: float = 0.2
    is_late: float = 0.25


async def run(base_url: str, therapists: Iterable[TherapistRecord], sign: Sign, pace: Pace | None = None) -> None:
    """All of them, until cancelled; `sign` gives the token of a therapist's id."""
    async with asyncio.TaskGroup() as people:
        for therapist in therapists:
            people.create_task(SimulatedTherapist(base_url, therapist, sign, pace or Pace()).live())


async def _pause(seconds: Range) -> None:
    await asyncio.sleep(random.uniform(*seconds))


class SimulatedTherapist:
    """One therapist. Plans live as long as the connection: the next one brings back what still stands."""

    def __init__(self, base_url: str, therapist: TherapistRecord, sign: Sign, pace: Pace) -> None:
        self._base_url = base_url
        self._therapist = therapist
        self._sign = sign
        self._pace = pace
        self._log = log.bind(therapist=therapist.id)
        self._own_feed = therapist_feed(therapist.id)
        self._tries = 0
        self._epoch: str | None = None
        # How far the own feed was read, and each room answered: what a guest says after that waits for a reply.
        self._cursors: dict[str, int] = {}
        self._rooms: dict[str, str] = {}  # the feed of each active visit, to its booking's id
        self._plans: dict[str, asyncio.Task[None]] = {}  # by what they are about
        self._speaking = asyncio.Lock()

    async def live(self) -> None:
        """Until cancelled, through every loss of the connection and every failure of its own."""
        await _pause(self._pace.come_online_s)
        while True:
            try:
                await self._be_connected()
            except* SocketIOError as lost:
                self._log.debug("a simulated therapist lost the connection", why=[*map(why, lost.exceptions)])
            except* Exception:
                self._log.exception("a simulated therapist failed and begins again")
            await _pause(self._pace.return_s)

    # --- the connection -----------------------------------------------------------------------------------------------

    async def _be_connected(self) -> None:
        """One connection from its first moment to its last."""
        self._sio = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        news: News = asyncio.Queue()
        self._sio.on("session", lambda data: news.put_nowait((self._see_snapshot, data)), namespace=NAMESPACE)
        self._sio.on("entry", lambda data: news.put_nowait((self._see_entry, data)), namespace=NAMESPACE)
        self._sio.on("disconnect", lambda reason: news.put_nowait(None), namespace=NAMESPACE)
        try:
            if await self._is_let_in():
                await self._attend(news)
        finally:
            await self._sio.disconnect()

    async def _is_let_in(self) -> bool:
        auth = {"token": self._sign(self._therapist.id), "since": self._cursors, "epoch": self._epoch}
        how = {"namespaces": [NAMESPACE], "transports": ["websocket"], "wait_timeout": ACK_TIMEOUT_S}
        self._tries += 1
        try:
            await self._sio.connect(self._base_url, auth=auth, **how)
        except Exception as error:  # the library lets through whatever goes wrong in the middle of a handshake
            if self._tries % TRIES_WITHOUT_WARNING == 0:
                self._log.warning("a simulated therapist can't connect", tries=self._tries, why=why(error))
            return False
        self._tries = 0
        # What was lost while it was being made is not told of by "disconnect".
        return bool(self._sio.eio.state == "connected")

    async def _attend(self, news: News) -> None:
        """See what comes until the connection ends; everything that was planned ends with it."""
        self._rooms, self._plans = {}, {}
        async with asyncio.TaskGroup() as self._tasks:
            while (piece := await news.get()) is not None:
                see, data = piece
                see(data)
            raise DisconnectedError

    async def _do(self, name: str, cause: str, **payload: Any) -> None:
        """Returns when it was answered: yes, or that the world has gone on, of which the feed tells."""
        command = {"client_id": derived_id("sim", name, cause), **payload}
        # A plan that is dropped leaves its command in flight, and the next one still waits for its answer.
        await asyncio.shield(self._tasks.create_task(self._say(name, command)))

    async def _say(self, name: str, command: Data) -> None:
        """One command at a time, again under the same id while there is no answer that lasts."""
        async with self._speaking:
            while True:
                ack = await self._sio.call(name, command, namespace=NAMESPACE, timeout=ACK_TIMEOUT_S)
                code = None if ack["ok"] else ack["error"]["code"]
                self._log.debug("a simulated therapist acted", command=name, refused=code)
                if code not in PASSING:
                    return
                await _pause(self._pace.return_s)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _see_snapshot(self, session: Data) -> None:
        self._epoch = session["epoch"]
        self._cursors = {feed: seq for feed, seq in self._cursors.items() if feed in session["feeds"]}
        self._cursors[self._own_feed] = session["feeds"][self._own_feed]
        if not session["available"]:
            self._plan(self._own_feed, self._come_online)
        for offer in session["offers"]:
            self._plan(offer["offer_id"], self._answer_offer, offer["offer_id"])
        for booking in session["bookings"]:
            self._begin(booking)
        for entry in session["entries"]:
            if entry["feed"] != self._own_feed:  # of the own feed, the snapshot already says what still stands
                self._see_entry(entry)

    def _see_entry(self, entry: Data) -> None:
        if entry["feed"] == self._own_feed:
            self._cursors[self._own_feed] = entry["seq"]
        match entry["type"], entry["data"]:
            case "offer", {"offer_id": offer_id}:
                self._plan(offer_id, self._answer_offer, offer_id)
            case "offer_closed", {"offer_id": offer_id}:
                self._drop(offer_id)
            case "booking", {"booking": {"status": "active"} as booking}:
                self._begin(booking)
            case "booking", {"booking": booking}:
                self._end(booking)
            case "message", {"from": "guest"} if entry["feed"] in self._rooms:
                self._drop(entry["feed"])  # one reply to several messages in a row, as people do
                self._plan(entry["feed"], self._reply, entry)

    # --- plans --------------------------------------------------------------------------------------------------------

    def _plan(self, subject: str, work: Callable[..., Coroutine[Any, Any, None]], *about: Any) -> None:
        if subject not in self._plans:
            self._plans[subject] = self._tasks.create_task(work(*about))

    def _drop(self, subject: str) -> None:
        if task := self._plans.pop(subject, None):
            task.cancel()

    def _begin(self, booking: Data) -> None:
        self._rooms[booking["feed"]] = booking["id"]
        self._plan(booking["id"], self._visit, booking)

    def _end(self, booking: Data) -> None:
        self._rooms.pop(booking["feed"], None)
        self._cursors.pop(booking["feed"], None)
        self._drop(booking["id"])
        self._drop(booking["feed"])

    async def _come_online(self) -> None:
        cause = f"{self._epoch}:{self._cursors[self._own_feed]}"
        position = {"latitude": self._therapist.latitude, "longitude": self._therapist.longitude}
        await self._do("availability", cause, available=True, **position)

    async def _answer_offer(self, offer_id: str) -> None:
        await _pause(self._pace.answer_s)
        chance = random.Random(offer_id).random()
        if chance < self._pace.accepts:
            await self._do("accept_offer", offer_id, offer_id=offer_id)
        elif chance < self._pace.accepts + self._pace.declines:
            await self._do("decline_offer", offer_id, offer_id=offer_id)

    async def _visit(self, booking: Data) -> None:
        """From wherever the visit stands to its end."""
        booking_id, progress = booking["id"], booking["progress"]
        dice = random.Random(booking_id)
        hello = dice.choice(HELLOS).format(guest=booking["guest"]["name"])
        minutes = dice.randint(5, 10) if dice.random() < self._pace.is_late else None
        await self._do("message", booking_id, booking_id=booking_id, text=hello)
        if progress is None:
            await _pause(self._pace.leave_s)
            await self._progress(booking_id, "on_the_way")
        if progress in (None, "on_the_way") and minutes is not None:
            await _pause(self._pace.notice_delay_s)
            await self._progress(booking_id, "delayed", minutes=minutes)
        if progress != "arrived":
            await _pause(self._pace.travel_s)
            await self._progress(booking_id, "arrived")
        await _pause(self._pace.treat_s)
        await self._progress(booking_id, "completed")

    async def _progress(self, booking_id: str, step: str, **more: int) -> None:
        await self._do("progress", f"{booking_id}:{step}", booking_id=booking_id, step=step, **more)

    async def _reply(self, entry: Data) -> None:
        await _pause(self._pace.reply_s)
        guest_said: str = entry["data"]["text"]
        is_indonesian = not INDONESIAN_WORDS.isdisjoint(re.findall(r"\w+", guest_said.lower()))
        text = random.Random(entry["id"]).choice(REPLIES["id" if is_indonesian else "en", "?" in guest_said])
        await self._do("message", entry["id"], booking_id=self._rooms[entry["feed"]], text=text)
        self._cursors[entry["feed"]] = entry["seq"]
