"""Guests and therapists as tests drive them: real Socket.IO clients, awaited and never slept for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import socketio

from tests.contract.watch import WATCH

# How long a test waits for something before it says what it had seen instead; no assertion about speed.
PATIENCE_S = 20.0

JAKARTA = (-6.2088, 106.8456)

_ids = itertools.count(1)


def client_id() -> str:
    return f"test-{next(_ids)}"


SIGNALS = ("typing", "delivered", "presence")


class Client:
    """One connection to a namespace, with everything it has received."""

    namespace = "/"

    def __init__(self, url: str) -> None:
        self.url = url
        self.sio = socketio.AsyncClient(reconnection=False, serializer="default")
        self.session: dict[str, Any] = {}
        self.entries: list[dict[str, Any]] = []
        self.signals: list[tuple[str, dict[str, Any]]] = []
        self.refused: dict[str, Any] | None = None
        self.going_away: dict[str, Any] | None = None
        self.is_cut_off = False
        self._news = asyncio.Condition()
        self.sio.on("session", self._on_session, namespace=self.namespace)
        self.sio.on("entry", self._on_entry, namespace=self.namespace)
        for name in SIGNALS:
            self.sio.on(name, partial(self._on_signal, name), namespace=self.namespace)
        self.sio.on("going_away", self._on_going_away, namespace=self.namespace)
        self.sio.on("disconnect", self._on_cut_off, namespace=self.namespace)
        self.sio.on("connect_error", self._on_refused, namespace=self.namespace)
        self.sio.on("*", self._on_undocumented, namespace=self.namespace)

    async def _on_session(self, session: dict[str, Any]) -> None:
        WATCH.event(self.namespace, "session", session)
        async with self._news:
            self.session = session
            self.entries = list(session["entries"])
            self._news.notify_all()

    async def _on_entry(self, entry: dict[str, Any]) -> None:
        WATCH.event(self.namespace, "entry", entry)
        async with self._news:
            self.entries.append(entry)
            self._news.notify_all()

    async def _on_signal(self, name: str, data: dict[str, Any]) -> None:
        async with self._news:
            self.signals.append((name, data))
            self._news.notify_all()

    async def _on_going_away(self, notice: dict[str, Any]) -> None:
        WATCH.event(self.namespace, "going_away", notice)
        async with self._news:
            self.going_away = notice
            self._news.notify_all()

    async def _on_cut_off(self, reason: str) -> None:
        async with self._news:
            self.is_cut_off = True
            self._news.notify_all()

    async def _on_undocumented(self, name: str, *data: Any) -> None:
        WATCH.event(self.namespace, name, *data)

    async def _on_refused(self, error: dict[str, Any]) -> None:
        WATCH.event(self.namespace, "connect_error", error)
        self.refused = error

    async def connect(self, auth: dict[str, Any]) -> Any:
        await self.sio.connect(
            self.url, namespaces=[self.namespace], auth=auth, transports=["websocket"], wait_timeout=PATIENCE_S
        )
        await self.until(lambda: bool(self.session), "a session")
        return self

    async def close(self) -> None:
        await self.sio.disconnect()

    async def send(self, command: str, **payload: Any) -> dict[str, Any]:
        """The ack of a command, whatever it says."""
        payload.setdefault("client_id", client_id())
        ack: dict[str, Any] = await self.sio.call(command, payload, namespace=self.namespace, timeout=PATIENCE_S)
        WATCH.ack(self.namespace, command, ack)
        return ack

    async def do(self, command: str, **payload: Any) -> dict[str, Any]:
        """The ack of a command that is expected to succeed."""
        ack = await self.send(command, **payload)
        assert ack["ok"], f"{command}: {ack}"
        return ack

    async def refusal(self, command: str, **payload: Any) -> str:
        """The code of the error that a command is expected to be answered."""
        ack = await self.send(command, **payload)
        assert not ack["ok"], f"{command} was not refused: {ack}"
        return str(ack["error"]["code"])

    async def signal(self, name: str, **payload: Any) -> dict[str, Any]:
        """The answer to a live signal, whatever it says."""
        ack: dict[str, Any] = await self.sio.call(name, payload, namespace=self.namespace, timeout=PATIENCE_S)
        return ack

    async def until_told(self, name: str, **data: Any) -> None:
        """Until the newest signal of this name says so."""
        await self.until(lambda: self.told(name)[-1:] == [data], f"{name} {data}")

    def told(self, name: str) -> list[dict[str, Any]]:
        return [data for signal, data in self.signals if signal == name]

    async def until(self, condition: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(patience_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            seen = [(entry["type"], entry["data"].get("key") or entry["data"].get("state")) for entry in self.entries]
            raise AssertionError(f"waited for {what} in vain; seen: {seen}") from None

    async def until_cut_off(self) -> None:
        await self.until(lambda: self.is_cut_off, "the end of the connection")

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [entry["data"] for entry in self.entries if entry["type"] == kind]

    def lines(self) -> list[str]:
        """The keys of the system lines so far."""
        return [data["key"] for data in self.of_type("system")]


class Guest(Client):
    """A guest in the chat."""

    namespace = "/guest"

    @property
    def token(self) -> str:
        return str(self.session["token"])

    @property
    def standing(self) -> dict[str, Any]:
        """Where the guest stands by the newest state line, or by the snapshot."""
        states = [data for data in self.of_type("state") if data["revision"] >= self.session["revision"]]
        return states[-1] if states else self.session

    @property
    def state(self) -> str:
        return str(self.standing["state"])

    @property
    def revision(self) -> int:
        return int(self.standing["revision"])

    def screen(self) -> dict[str, Any]:
        """What is shown now, besides the conversation itself."""
        return {
            name: self.standing[name] for name in ("state", "revision", "header", "booking", "countdown", "actions")
        }

    def card(self, kind: str) -> dict[str, Any] | None:
        cards = [data for data in self.of_type("card") if data["card"] == kind]
        return cards[-1] if cards else None

    async def until_state(self, *states: str) -> dict[str, Any]:
        await self.until(lambda: self.state in states, f"state {' or '.join(states)}")
        return self.standing

    async def until_line(self, key: str) -> None:
        await self.until(lambda: key in self.lines(), f"line {key}")

    async def until_card(self, kind: str) -> dict[str, Any]:
        def is_there() -> bool:
            card = self.card(kind)
            return card is not None and card["revision"] == self.revision

        await self.until(is_there, f"card {kind}")
        card = self.card(kind)
        assert card is not None
        return card

    async def book(self, **more: Any) -> dict[str, Any]:
        await self.do("book", **{"kind": "now", "source": "menu", **more})
        return await self.until_card("service")

    def form(self, **more: Any) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "duration": 60,
            "location": {"address": "Jl. Sudirman 1", "latitude": JAKARTA[0], "longitude": JAKARTA[1]},
            "name": "Budi",
            "phone": "0812-3456-7890",
            **more,
        }

    async def confirm(self, **more: Any) -> dict[str, Any]:
        return await self.do("confirm_service", **self.form(**more))

    async def search(self, **more: Any) -> None:
        """From idle to a running search."""
        await self.book()
        await self.confirm(**more)
        await self.until_state("searching", "choosing")

    async def accept(self) -> dict[str, Any]:
        card = await self.until_card("therapist")
        return await self.do("accept_therapist", revision=card["revision"], offer_id=card["offer_id"])

    async def find_another(self) -> dict[str, Any]:
        card = await self.until_card("therapist")
        return await self.do("find_another", revision=card["revision"], offer_id=card["offer_id"])


class Therapist(Client):
    """A therapist at the console."""

    namespace = "/therapist"

    def open_offers(self) -> list[dict[str, Any]]:
        closed = {data["offer_id"] for kind in ("offer_closed", "offer_waiting") for data in self.of_type(kind)}
        offers = [*self.session["offers"], *self.of_type("offer")]
        return [offer for offer in offers if offer["offer_id"] not in closed]

    async def until_offer(self) -> dict[str, Any]:
        await self.until(lambda: bool(self.open_offers()), "an offer")
        return self.open_offers()[-1]

    async def accept(self) -> dict[str, Any]:
        """Accept the open offer, and say which it was."""
        offer = await self.until_offer()
        await self.do("accept_offer", offer_id=offer["offer_id"])
        return offer

    async def decline(self) -> dict[str, Any]:
        """Decline the open offer, and say which it was."""
        offer = await self.until_offer()
        await self.do("decline_offer", offer_id=offer["offer_id"])
        return offer

    def closings(self, offer_id: str) -> list[str]:
        """Why an offer was closed, `waiting` where it waited for its guest before."""
        waiting = ["waiting" for data in self.of_type("offer_waiting") if data["offer_id"] == offer_id]
        return waiting + [str(data["why"]) for data in self.of_type("offer_closed") if data["offer_id"] == offer_id]

    async def until_closed_as(self, offer_id: str, why: str) -> None:
        await self.until(lambda: why in self.closings(offer_id), f"{offer_id} to be {why}")

    async def until_closed(self, offer_id: str) -> str:
        def is_closed() -> bool:
            return any(data["offer_id"] == offer_id for data in self.of_type("offer_closed"))

        await self.until(is_closed, f"the end of {offer_id}")
        return next(str(data["why"]) for data in self.of_type("offer_closed") if data["offer_id"] == offer_id)

    async def until_booking(self, status: str) -> dict[str, Any]:
        def bookings() -> list[dict[str, Any]]:
            return [data["booking"] for data in self.of_type("booking") if data["booking"]["status"] == status]

        await self.until(lambda: bool(bookings()), f"a booking that is {status}")
        return bookings()[-1]


@asynccontextmanager
async def guest(url: str, **auth: Any) -> AsyncIterator[Guest]:
    client = Guest(url)
    await client.connect({"locale": "en", **auth})
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def therapist(url: str, token: str, **auth: Any) -> AsyncIterator[Therapist]:
    client = Therapist(url)
    await client.connect({"token": token, "locale": "en", **auth})
    try:
        yield client
    finally:
        await client.close()
