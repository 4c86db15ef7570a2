"""Who is connected to this process: how many lines one address may hold open, and one token.

An address may be shared by a whole mobile network, so nobody is put out for a newcomer: one line too many is refused.
A token is one person: the oldest of their lines gives way, since it may be one that a phone has long forgotten, and the
newest is the one they look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bot.access.limits import network_of
from bot.errors import Refusal
from conversations.replies import N_

# Who was refused, or had to give way, comes back no sooner.
RETURN_AFTER_S = 30.0

Release = Callable[[], None]
GiveWay = Callable[[], None]


class OpenConnections:
    """Sockets and streams, those that have not said yet who they are included."""

    def __init__(self, *, per_address: int, per_token: int) -> None:
        self._per_address = per_address
        self._per_token = per_token
        self._of_address: Counter[str] = Counter()
        # By subject, the oldest first; the key is what its release takes out.
        self._of_subject: dict[str, dict[object, GiveWay]] = {}
        self.refused = 0
        self.gave_way = 0

    def __len__(self) -> int:
        return self._of_address.total()

    def admit(self, address: str) -> Release:
        """Count a line of this address until it is released. Raises `too_many_requests`."""
        network = network_of(address)
        if self._of_address[network] >= self._per_address:
            self.refused += 1
            raise Refusal(
                "too_many_requests",
                N_("Too many connections are open from your network. Please try again later."),
                retry_after_s=RETURN_AFTER_S,
            )
        self._of_address[network] += 1

        def release() -> None:
            self._of_address[network] -= 1
            if not self._of_address[network]:
                del self._of_address[network]

        return release

    def hold(self, subject: str, give_way: GiveWay) -> Release:
        """Count a line of whom a token opened until it is released; `give_way` is called when it must end itself."""
        lines = self._of_subject.setdefault(subject, {})
        line = object()
        lines[line] = give_way
        if len(lines) > self._per_token:
            self.gave_way += 1
            lines.pop(next(iter(lines)))()

        def release() -> None:
            lines.pop(line, None)
            if not lines and self._of_subject.get(subject) is lines:
                del self._of_subject[subject]

        return release
