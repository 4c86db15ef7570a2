"""A provider's API on loopback: a real HTTP server in a thread of its own, with a log and a line of faults that wait.

In a thread, because an SDK that blocks its loop would otherwise wait for a server that it keeps from answering.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Fault:
    """What goes wrong with one request, instead of its answer."""

    status: int = 503
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/html"
    delay_s: float = 0.0
    is_dropped: bool = False
    is_done: bool = False
    """Whether it was done all the same, and only the answer is lost."""
    waits_for: int = 0
    """It is answered as it should be, but not before so many requests have come."""


class Provider:
    """Serves from `with` on. `asked` is the log; `fail` puts faults in line for requests whose path matches."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._faults: list[tuple[re.Pattern[str], Fault]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """What this provider answers."""
        raise NotImplementedError

    def fail(self, path: str, *, times: int = 1, **fault: Any) -> None:
        self._faults += [(re.compile(path), Fault(**fault)) for _ in range(times)]

    def requests(self, path: str) -> list[Asked]:
        return [each for each in self.asked if re.search(path, each.path)]

    def spawn(self, work: Awaitable[None]) -> None:
        """Something that this provider does by itself, beside its answers."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def settle(self) -> None:
        """Returns when everything that was spawned has come to its end."""

        async def all_done() -> None:
            await asyncio.gather(*self._tasks)

        self._run(all_done())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _start(self) -> None:
        self._came = asyncio.Condition()
        application = web.Application(middlewares=[self._serve])
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    @web.middleware
    async def _serve(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asked.append(Asked(request.method, request.path_qs, request.headers, await request.read()))
        async with self._came:
            self._came.notify_all()
        fault = self._next_fault(request.path)
        if fault is None:
            return await handler(request)
        if fault.waits_for:
            async with self._came:
                await self._came.wait_for(lambda: len(self.asked) >= fault.waits_for)
            return await handler(request)
        if fault.is_done:
            await handler(request)
        await asyncio.sleep(fault.delay_s)
        if fault.is_dropped:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(
            text=fault.body, status=fault.status, headers=fault.headers, content_type=fault.content_type
        )

    def _next_fault(self, path: str) -> Fault | None:
        for waiting in self._faults:
            if waiting[0].search(path):
                self._faults.remove(waiting)
                return waiting[1]
        return None
