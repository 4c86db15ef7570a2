"""The pages: static files of ours, the official Socket.IO client from npm, and the headers that keep both honest."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import structlog
from aiohttp import web

log = structlog.get_logger()

PAGES = Path(__file__).parents[2] / "pages"
# npm puts the client here; it is served as it is, and not kept in our repository.
SOCKET_IO_CLIENT = Path(__file__).parents[3] / "node_modules" / "socket.io-client" / "dist"

HTML_BY_PATH: Mapping[str, str] = {
    "/": "shop/shop.html",
    "/chat": "chat/chat.html",
    "/therapist": "therapist/therapist.html",
}
# What others know by an address at the root: websites that embed us, browsers that keep a worker for all of our pages,
# devices on which we are installed. Everything else has the address of its place in the folder.
AT_THE_ROOT: Mapping[str, str] = {
    "widget.js": "widget/widget.js",
    "sw-reminders.js": "device/sw-reminders.js",
    "manifest.webmanifest": "device/manifest.webmanifest",
    **{path.name: f"icons/{path.name}" for path in (PAGES / "icons").iterdir()},
}
# What a browser is told about files whose type the system's own table may not know.
TYPES: Mapping[str, str] = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".mp3": "audio/mpeg",
}
# Asked again each time and answered 304 while unchanged: a new release is seen at once. A sound changes with its name.
CACHED: Mapping[str, str] = {".mp3": "public, max-age=2592000"}
ASKED_AGAIN = "no-cache"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def content_security_policy(frame_ancestors: str) -> str:
    """Nothing but our own files runs, and nothing inline: what people write can never become a program."""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self' ws: wss:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors {frame_ancestors}",
        )
    )


def page_headers(frame_ancestors: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": content_security_policy(frame_ancestors),
        "Referrer-Policy": "same-origin",
        "Cache-Control": ASKED_AGAIN,
    }


def add_pages(app: web.Application, *, chat_frame_ancestors: str) -> None:
    """Serve the pages at their paths and every other file of ours by its name."""
    for path, name in HTML_BY_PATH.items():
        ancestors = chat_frame_ancestors if path == "/chat" else "'self'"
        app.router.add_get(path, _page(PAGES / name, ancestors))
    app.router.add_get("/vendor/{name}", _files_in(SOCKET_IO_CLIENT))
    app.router.add_get("/{name:.+}", _files_in(PAGES, AT_THE_ROOT))
    if not SOCKET_IO_CLIENT.is_dir():
        log.warning("the pages have no Socket.IO client: run npm ci", looked_in=str(SOCKET_IO_CLIENT))


def _page(path: Path, frame_ancestors: str) -> Handler:
    headers = {**page_headers(frame_ancestors), **_type_of(path)}

    async def serve(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers=headers)

    return serve


def _files_in(folder: Path, known_as: Mapping[str, str] = MappingProxyType({})) -> Handler:
    """Files of one folder, and of none outside it, whatever the name in the address tries."""
    root = folder.resolve()

    async def serve(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = _find(root, known_as.get(name, name))
        if path is None:
            raise web.HTTPNotFound
        cached = CACHED.get(path.suffix, ASKED_AGAIN)
        return web.FileResponse(path, headers={"Cache-Control": cached, **_type_of(path)})

    return serve


def _find(root: Path, name: str) -> Path | None:
    """The file of this name in the folder; pages are served at their own paths only, with their policy."""
    try:
        path = (root / name).resolve()
        is_there = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError):  # no file can have this name: it is too long, or has a zero byte in it
        return None
    return path if is_there and path.suffix != ".html" else None


def _type_of(path: Path) -> dict[str, str]:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {"Content-Type": kind, "X-Content-Type-Options": "nosniff"}
