"""Which addresses a stranger may have us send requests to: those of the public internet, and no machine beside us."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

# Behind these a gateway may have any IPv4 address, also a private one (RFC 6052, RFC 8215).
TRANSLATED = tuple(ipaddress.ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48"))


class NotPublic(OSError):
    """A name leads to a machine that is not on the public internet."""


def is_public(address: str) -> bool:
    """Whether this is an address of the internet: not our own, private, of a link, for many, or of no use yet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or any(ip in network for network in TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def check_url(url: str, *, may_be_private: bool) -> str:
    """The address as it stands. Raises ValueError with what is wrong with it.

    Names are looked up when they are used, and only then: what they lead to may change at any moment.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be an address like https://example.com/webhooks") from None
    schemes = {"https", "http"} if may_be_private else {"https"}
    is_whole = url.isascii() and url.isprintable() and " " not in url and bool(host)
    if not is_whole or parts.scheme not in schemes or parts.username or parts.password or parts.fragment:
        raise ValueError("must be an address like https://example.com/webhooks")
    if not may_be_private and _is_a_number(host) and not is_public(host):
        raise ValueError("must be on the public internet")
    return url


class PublicResolver(AbstractResolver):
    """Gives a connection nothing but public addresses, and so looks at just those that it connects to."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if is_public(each["host"])]
        if not public:
            raise NotPublic("not on the public internet")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _is_a_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
