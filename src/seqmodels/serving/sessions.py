"""The sessions of a server: sequences that advance step by step."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from seqmodels.serving.problems import Problem


@dataclass
class Session:
    """A sequence, and how far it is."""

    name: str
    state: Any
    steps: int
    used: float
    output: Any = None
    """What the model said after the last step; None before the first, and after a session is restored."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it advances, so that requests for the same session follow each other."""


class Sessions:
    """The open sessions; those that have not been used for a while expire.

    Args:
        most: number that may be open.
        idle: seconds after which a session that is not used expires.
        now: the clock, in seconds.

    Example:
        >>> sessions = Sessions(most=1, idle=60)
        >>> session = sessions.create()
        >>> sessions.get(session.name) is session
        True
    """

    def __init__(self, *, most: int, idle: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.idle = idle
        self._now = now
        self._open: dict[str, Session] = {}  # by name, the one that was used least recently first

    def __len__(self) -> int:
        self.expire()
        return len(self._open)

    def create(self, state: Any = None, steps: int = 0) -> Session:
        """Open a session, under a name that cannot be guessed.

        Raises:
            Problem: too many are open (429).
        """
        if len(self) >= self.most:
            raise Problem(429, f"{self.most} sessions are open: delete one, or wait until one expires")
        session = Session(secrets.token_urlsafe(18), state, steps, self._now())
        self._open[session.name] = session
        return session

    def get(self, name: str) -> Session:
        """Return a session, which counts as its use.

        Raises:
            Problem: there is none, or it has expired (404).
        """
        self.expire()
        if name not in self._open:
            raise Problem(404, "there is no such session; it may have expired")
        session = self._open.pop(name)
        session.used = self._now()
        self._open[name] = session
        return session

    def delete(self, name: str) -> None:
        """Close a session.

        Raises:
            Problem: there is none (404).
        """
        del self._open[self.get(name).name]

    def left(self, session: Session) -> float:
        """Return after how many seconds a session expires if it is not used."""
        return max(session.used + self.idle - self._now(), 0.0)

    def expire(self) -> None:
        """Close the sessions that have not been used for too long; one that advances right now stays open."""
        for session in tuple(takewhile(lambda session: self.left(session) == 0, self._open.values())):
            if not session.lock.locked():
                del self._open[session.name]
