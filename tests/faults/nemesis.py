"""Who makes the faults happen: one after the other as the schedule says, each healed before the next one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import redis.asyncio

from tests.fakes.tcp_proxy import TcpProxy
from tests.faults.chatters import Pair
from tests.faults.devices import World
from tests.faults.javascript import JavaScript
from tests.faults.links import SocketIO
from tests.faults.schedule import Fault
from tests.faults.servers import MortalServer
from tests.faults.stage import Stage

DELAY_S = 0.15
# How long Redis has been away when something is said into a quiet room.
NOTICED_AFTER_S = 1.0


class Nemesis:
    """Every public coroutine is a kind of fault."""

    def __init__(self, stage: Stage, world: World, pairs: Sequence[Pair]) -> None:
        self._stage = stage
        self._world = world
        self._pairs = pairs
        self._chance = Random(f"{world.seed}:nemesis")
        self.done: list[Fault] = []
        self.judged = 0
        """How many quiet rooms were judged."""

    async def play(self, faults: Sequence[Fault], seconds: float) -> None:
        """What would begin after so many seconds does not happen."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at_s - loop.time()))
            if loop.time() - began > seconds:
                return
            self._stage.witness.note("fault", fault.kind, target=fault.target, lasts_s=fault.lasts_s)
            await self._do(fault)
            self._stage.witness.note("healed", fault.kind, target=fault.target)
            self.done.append(fault)

    async def _do(self, fault: Fault) -> None:
        deed: Callable[[Fault], Awaitable[None]] = getattr(self, fault.kind)
        if "mongo" not in fault.kind:
            return await deed(fault)
        self._world.readable_since = math.inf
        await deed(fault)
        self._world.readable_since = self._stage.witness.now
        return None

    # --- processes ----------------------------------------------------------------------------------------------------

    async def kill_web(self, fault: Fault) -> None:
        await self._stage.webs[fault.target].process.kill(fault.lasts_s)

    async def stop_web(self, fault: Fault) -> None:
        await self._stage.webs[fault.target].process.stop(fault.lasts_s)

    async def pause_web(self, fault: Fault) -> None:
        await self._stage.webs[fault.target].process.pause(fault.lasts_s)

    async def kill_all_webs(self, fault: Fault) -> None:
        await asyncio.gather(*(web.process.kill(fault.lasts_s) for web in self._stage.webs))

    async def kill_workers(self, fault: Fault) -> None:
        await asyncio.gather(*(each.kill(fault.lasts_s) for each in self._stage.workers))

    async def stop_workers(self, fault: Fault) -> None:
        await asyncio.gather(*(each.stop(fault.lasts_s) for each in self._stage.workers))

    # --- servers ------------------------------------------------------------------------------------------------------

    async def kill_valkey(self, fault: Fault) -> None:
        await self._without(self._stage.valkey, self._stage.valkey.kill, fault.lasts_s)

    async def stop_valkey(self, fault: Fault) -> None:
        await self._without(self._stage.valkey, self._stage.valkey.stop, fault.lasts_s)

    async def kill_mongo(self, fault: Fault) -> None:
        await self._without(self._stage.mongo, self._stage.mongo.kill, fault.lasts_s)

    async def stop_mongo(self, fault: Fault) -> None:
        await self._without(self._stage.mongo, self._stage.mongo.stop, fault.lasts_s)

    async def kill_mongo_and_web(self, fault: Fault) -> None:
        """What was under way to the database dies at both ends."""
        await self._stage.mongo.kill()
        await asyncio.sleep(0.1)
        away = asyncio.gather(
            self._stage.webs[fault.target].process.kill(fault.lasts_s), asyncio.sleep(fault.lasts_s + 0.2)
        )
        await self._stage.mongo.start()
        await away

    @staticmethod
    async def _without(server: MortalServer, end: Callable[[], Awaitable[None]], lasts_s: float) -> None:
        await end()
        await asyncio.sleep(lasts_s)
        await server.start()

    async def flush_valkey(self, fault: Fault) -> None:
        async with redis.asyncio.Redis.from_url(self._stage.valkey.address()) as courier:
            await courier.flushall()

    # --- the network --------------------------------------------------------------------------------------------------

    async def cut_clients(self, fault: Fault) -> None:
        await self._cut(self._stage.webs[fault.target].line, fault.lasts_s)

    async def delay_clients(self, fault: Fault) -> None:
        await self._delay(self._stage.webs[fault.target].line, fault.lasts_s)

    async def freeze_clients(self, fault: Fault) -> None:
        await self._freeze(self._stage.webs[fault.target].line, fault.lasts_s)

    async def lose_answers(self, fault: Fault) -> None:
        """Clients of one process are heard, and hear nothing."""
        line = self._stage.webs[fault.target].line
        line.lose_answers()
        await asyncio.sleep(fault.lasts_s)
        await self._mend(line)

    async def cut_mongo(self, fault: Fault) -> None:
        await self._cut(self._stage.mongo_line, fault.lasts_s)

    async def delay_mongo(self, fault: Fault) -> None:
        await self._delay(self._stage.mongo_line, fault.lasts_s)

    async def freeze_mongo(self, fault: Fault) -> None:
        await self._freeze(self._stage.mongo_line, fault.lasts_s)

    async def cut_bus(self, fault: Fault) -> None:
        await self._cut(self._stage.bus_line, fault.lasts_s)

    async def freeze_bus(self, fault: Fault) -> None:
        """Connections that were open stay dead: whoever relies on them must notice."""
        self._stage.bus_line.freeze()
        await asyncio.sleep(fault.lasts_s)
        self._stage.bus_line.pass_on()

    async def _cut(self, line: TcpProxy, lasts_s: float) -> None:
        await line.cut()
        await asyncio.sleep(lasts_s)
        line.pass_on()

    async def _delay(self, line: TcpProxy, lasts_s: float) -> None:
        line.delay(DELAY_S)
        await asyncio.sleep(lasts_s)
        line.pass_on()

    async def _freeze(self, line: TcpProxy, lasts_s: float) -> None:
        line.freeze()
        await asyncio.sleep(lasts_s)
        await self._mend(line)

    @staticmethod
    async def _mend(line: TcpProxy) -> None:
        """The router that had forgotten these connections says so at last."""
        await line.cut()
        line.pass_on()

    # --- the quiet room -----------------------------------------------------------------------------------------------

    async def quiet(self, fault: Fault) -> None:
        """Redis is away, nobody says anything, and then one message is said: it is heard all the same."""
        await self._stage.until_ready()
        transports = (SocketIO.transport, self._chance.choice((SocketIO.transport, JavaScript.transport)))
        self._world.hush.set()
        await self._stage.valkey.kill()
        try:
            await asyncio.sleep(NOTICED_AFTER_S)
            self.judged += sum(
                await asyncio.gather(*(pair.say_one_thing_into_the_quiet(transports) for pair in self._pairs))
            )
        finally:
            await self._stage.valkey.start()
            self._world.hush.clear()
