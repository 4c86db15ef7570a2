"""A campaign: a served house with people in it, thousands of cases, and what must be as it was afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import ClientSession

from bot.access.tokens import Tokens
from bot.clock import DatabaseClock
from bot.contract import story
from bot.runtime.embedded import Servers
from bot.services import connected, migrate
from bot.settings.settings import Settings
from bot.store.catalogue import Catalogue
from bot.store.therapists import TherapistRecord, Therapists
from tests.clients import JAKARTA, PATIENCE_S, Guest, Therapist, guest, therapist
from tests.fuzz.cases import Case, Cases, Cast
from tests.fuzz.wires import Breach, Wires
from tests.house import KILOMETRE_IN_DEGREES, MASSAGE, settings_for
from tests.ports import free_port
from tests.processes import environment_of

WORKERS = 8
# What the bystanders said and where they live: no answer to anybody else may have it.
CANARIES = ("Kenari Kuning", "Gang Kenari 77", "burung kenari")
STRANGE = ("offer", "booking", "conversation", "feed", "token")
Dump = dict[str, dict[Any, Any]]
# What a log has when something of ours went wrong, or when it tells what it should not.
FAULTS = ("Traceback", "[error", "ERROR asyncio", "CRITICAL", *CANARIES)
# One line for each connection that was closed for its frames, as AT1.4 has it, and a few of the program's own.
LOG_BYTES_PER_CASE, LOG_BYTES = 25, 20_000
RESIDENT_MAY_GROW = 40_000_000


@dataclass(slots=True)
class Report:
    seed: int
    told: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    log_bytes: int = 0
    cases: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.told.most_common())
        grown = (self.after["resident"] - self.before["resident"]) / 1e6
        return (
            f"seed {self.seed}: {self.cases} cases, {self.wrong} of them wrong; told: {told}; "
            f"tasks {self.before['tasks']} and then {self.after['tasks']}, lines {self.before['lines']} and then "
            f"{self.after['lines']}, memory {grown:+.1f} MB, log {self.log_bytes} bytes; {len(self.breaches)} breaches"
        )


@dataclass(slots=True)
class Served:
    """The process that is tried, and how it is doing."""

    process: asyncio.subprocess.Process
    url: str
    log: Path
    figures_in: Path

    async def figures(self) -> dict[str, int]:
        self.figures_in.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        await eventually(self.figures_in.exists)
        figures: dict[str, int] = json.loads(self.figures_in.read_text())
        return {**figures, "lines": self.lines()}

    def lines(self) -> int:
        """TCP connections to the port that the process listens on."""
        port = f":{int(self.url.rpartition(':')[2]):04X}"
        rows = [line.split() for line in Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(port) and row[3] == "01" for row in rows)

    async def at_rest(self, baseline: dict[str, int] | None = None) -> dict[str, int]:
        """The figures when nobody is connected any more, and, where there is a baseline, when it is reached again."""
        await eventually(lambda: self.lines() == 0)
        figures = await self.figures()
        async with asyncio.timeout(PATIENCE_S):
            while baseline is not None and figures["tasks"] > baseline["tasks"]:
                await asyncio.sleep(0.1)
                figures = await self.figures()
        return figures


async def eventually(is_so: Callable[[], bool]) -> None:
    """Until it is."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # another process sets no event of ours
            await asyncio.sleep(0.02)


def generous(settings: Settings) -> Settings:
    """The same settings with no limit on how often: cases are to reach what stands behind the limits."""
    rates = {name: "1000000/s:1000000" for name in Settings.model_fields if name.startswith("limit_")}
    caps = {name: 1000 for name in Settings.model_fields if name.startswith("connections_per_")}
    return Settings(**{**settings.model_dump(exclude_unset=True), **rates, **caps})


@asynccontextmanager
async def served(settings: Settings, folder: Path) -> AsyncIterator[Served]:
    port = free_port()
    log, figures = folder / "served.log", folder / "figures.json"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fuzz.served", str(figures)),
            env={**environment_of(settings), "PORT": str(port)},
            cwd=folder,  # where no .env stands
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    house = Served(process, f"http://127.0.0.1:{port}", log, figures)
    try:
        async with ClientSession() as http:
            await until_ready(house, http)
        yield house
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE_S)


async def until_ready(house: Served, http: ClientSession) -> None:
    async with asyncio.timeout(3 * PATIENCE_S):
        while True:
            assert house.process.returncode is None, house.log.read_text()[-3000:]
            try:
                async with http.get(f"{house.url}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def run(servers: Servers, database: str, folder: Path, *, count: int, seed: int) -> Report:
    """`count` cases of the seed against a process of its own, on an empty database."""
    settings = generous(settings_for(servers, database, log_format="console"))
    await migrate(settings)
    async with connected(settings) as stores:
        campaign = Campaign(settings, stores, seed, count)
        await campaign.prepare()
        async with served(settings, folder) as house:
            return await campaign.run(house)


class Campaign:
    """First everything that must change nothing, then what is right in its form and may change what is the sender's."""

    def __init__(self, settings: Settings, database: Any, seed: int, count: int) -> None:
        self._settings = settings
        self._database = database
        self._count = count
        self._report = Report(seed)
        self._therapists: dict[str, TherapistRecord] = {}
        self._secrets = CANARIES

    async def prepare(self) -> None:
        await Catalogue(self._database["services"]).add_missing([MASSAGE])
        for name, km in (("actor", 1.0), ("bystander", 400.0)):
            record = _therapist(name, km)
            self._therapists[name] = record
            await Therapists(self._database["therapists"]).add(record)

    async def run(self, house: Served) -> Report:
        clock = DatabaseClock(self._database)
        await clock.measure()
        tokens = Tokens(self._settings.secret, clock.now)
        strange = await self._visit(house, tokens, "bystander", name=CANARIES[0], address=CANARIES[1])
        present = await self._visit(house, tokens, "actor", name="Budi", address="Jl. Sudirman 1")
        cast = Cast(
            {"guest": present["token"], "therapist": tokens.sign("therapist", self._therapists["actor"].id)},
            {story.OFFER_ID: present["offer"], story.BOOKING_ID: present["booking"]}
            | {story.THERAPIST_ID: self._therapists["actor"].id},
            present["revision"],
            [strange[name] for name in STRANGE],
        )
        cases = Cases(self._report.seed, cast)
        right: list[int] = []
        warm = self._count // 10
        await self._all(house, cast, self._wrong(cases, range(warm), right))
        self._report.before = await house.at_rest()
        untouched = await self._dump()
        await self._all(house, cast, self._wrong(cases, range(warm, self._count), right))
        await self._compare(untouched, "a wrong case changed", lambda document: True)
        theirs = {*(strange[name] for name in STRANGE), self._therapists["bystander"].id}
        await self._all(house, cast, (cases.case(number) for number in right))
        await self._compare(untouched, "somebody else changed", lambda each: _names(each, theirs))
        self._report.after = await house.at_rest(self._report.before)
        await self._still_works(house)
        self._read_log(house)
        return self._report

    def _wrong(self, cases: Cases, numbers: Iterable[int], right: list[int]) -> Iterable[Case]:
        for number in numbers:
            case = cases.case(number)
            self._report.cases += 1
            self._report.wrong += case.is_wrong
            if case.is_wrong:
                yield case
            else:
                right.append(number)

    async def _all(self, house: Served, cast: Cast, cases: Iterable[Case]) -> None:
        """Each case once, by whichever worker is free."""
        coming = iter(cases)
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work(house, cast, coming))

    async def _work(self, house: Served, cast: Cast, coming: Iterable[Case]) -> None:
        async with ClientSession(house.url, auto_decompress=True) as http:
            wires = Wires(http, cast.tokens, self._secrets)
            try:
                for case in coming:
                    await self._say(house, wires, case)
            finally:
                await wires.close()
                self._report.told += wires.told

    async def _say(self, house: Served, wires: Wires, case: Case) -> None:
        try:
            await wires.say(case)
        except Breach as breach:
            self._report.breaches.append(f"seed {self._report.seed}, {case}\n    {breach}")
        except (aiohttp.ClientError, ConnectionError, ValueError) as error:
            assert house.process.returncode is None, f"the process has ended, at {case}"
            # What a client library refuses to send was never said; a connection that was closed is an answer.
            wires.told[type(error).__name__] += 1

    async def _visit(self, house: Served, tokens: Tokens, who: str, *, name: str, address: str) -> dict[str, Any]:
        """A visit that is on: its ids."""
        record = self._therapists[who]
        place = {"address": address, "latitude": record.latitude, "longitude": record.longitude}
        async with (
            therapist(house.url, tokens.sign("therapist", record.id)) as console,
            guest(house.url) as visitor,
        ):
            offer = await _book(visitor, console, name=name, location=place)
            await visitor.do("message", text=f"{CANARIES[2] if who == 'bystander' else 'Halo'}")
            return {
                "token": visitor.token,
                "offer": offer,
                "booking": visitor.standing["booking"]["id"],
                "conversation": visitor.session["conversation_id"],
                "feed": visitor.session["feed"],
                "revision": visitor.revision,
            }

    async def _dump(self) -> Dump:
        names = await self._database.list_collection_names()
        return {
            name: {document["_id"]: document async for document in self._database[name].find()}
            for name in sorted(names)
        }

    async def _compare(self, before: Dump, what: str, is_meant: Callable[[Any], bool]) -> None:
        after = await self._dump()
        for name in {*before, *after}:
            was, now = before.get(name, {}), after.get(name, {})
            for key in {*was, *now}:
                if was.get(key) != now.get(key) and is_meant(was.get(key) or now.get(key)):
                    self._report.breaches.append(f"{what}: {name} {key}: {was.get(key)} -> {now.get(key)}")

    async def _still_works(self, house: Served) -> None:
        async with guest(house.url) as visitor:
            await visitor.book()
            await visitor.do("cancel")

    def _read_log(self, house: Served) -> None:
        log = house.log.read_text(errors="replace")
        self._report.log_bytes = len(log)
        bound = LOG_BYTES + LOG_BYTES_PER_CASE * self._count
        found = next((each for each in FAULTS if each in log), None)
        if found is not None or len(log) > bound:
            start = max(log.find(found or "") - 500, 0)
            told = log[start : start + 4000]
            self._report.breaches.append(f"{found!r} in a log of {len(log)} bytes, at most {bound}: {told}")
        after, before = self._report.after, self._report.before
        if after["resident"] - before["resident"] > RESIDENT_MAY_GROW:
            self._report.breaches.append(f"memory grew: {before} {after}")


async def _book(visitor: Guest, console: Therapist, **form: Any) -> str:
    """From nothing to a visit; gives the offer."""
    await visitor.search(**form)
    offer: str = (await console.accept())["offer_id"]
    await visitor.accept()
    await visitor.until_state("active")
    await console.until_booking("active")
    return offer


def _names(document: Mapping[str, Any], ids: Collection[str]) -> bool:
    """Whether it is one of these, or says something of them.

    A `client_id` and a device's token may be any text, and say nothing.
    """
    return any(each in str({**document, "answers": (), "token": ""}) for each in ids)


def _therapist(name: str, km: float) -> TherapistRecord:
    return TherapistRecord(
        id=f"t_{name}",
        name=f"Sari {name}",
        phone=f"+62812000{len(name):05d}",
        photo="/photos/01.svg",
        rating=4.8,
        rating_count=120,
        gender="female",
        specialties=("Balinese",),
        languages=("English",),
        durations=(60, 90, 120),
        latitude=JAKARTA[0] + km * KILOMETRE_IN_DEGREES,
        longitude=JAKARTA[1],
        is_available=True,
        is_simulated=False,
        locale="en",
        visits=0,
    )
