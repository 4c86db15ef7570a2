"""Whose address a request came from: ours to see, or our proxy's to tell."""

from __future__ import annotations

from ipaddress import ip_address

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"


def client_address(request: web.Request, *, trust_proxy: bool) -> str:
    """The proxy's word is the last element: what stands before it came from the client and may be anything.

    A request with several X-Forwarded-For lines is not believed: some proxies append to the first of them, so that the
    last element is the client's own invention.
    """
    lines = request.headers.getall(FORWARDED_FOR, [])
    if trust_proxy and len(lines) == 1:
        candidate = lines[0].rpartition(",")[2].strip()
        if _is_address(candidate):
            return candidate
    return _peer(request)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _peer(request: web.Request) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else ""
