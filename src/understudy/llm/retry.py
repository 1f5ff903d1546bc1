"""The one place where requests to servers are tried again.

What may pass is tried again with exponential back-off and full jitter, never sooner than the server's ``Retry-After``:
rate limits, server errors, time-outs, broken connections and broken bodies. What can't get better for this request (a
bad one) fails at once, and what can't get better for any (a wrong address or key, no server) ends the run.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import Field

from understudy.config import Config
from understudy.errors import OutageError, UnderstudyError
from understudy.llm.transport import Response, TransportError
from understudy.llm.wire import error_of

_RETRIED = frozenset((408, 409, 425, 429))
_HOPELESS = frozenset((301, 302, 307, 308, 401, 402, 404, 405))
_LONGEST_BACKOFF = 30.0

T = TypeVar("T")


class Patience(Config):
    """How often a server is asked, and how long it is waited for."""

    timeout: float = Field(default=120.0, gt=0)
    """Seconds for one attempt, body included; also the longest ``Retry-After`` that is waited for."""

    attempts: int = Field(default=6, ge=1)
    """Attempts per request."""

    backoff: float = Field(default=0.5, gt=0)
    """Seconds: upper bound of the first wait; it doubles with every attempt, to 30 at most."""


class RefusalError(Exception):
    """A server answered, but with an error status; the message is one line."""

    def __init__(self, response: Response) -> None:
        message, code = error_of(response.body)
        super().__init__(f"HTTP {response.status}: {message or response.reason}")
        # An account without money answers 429 too, but stays without.
        self.hopeless = response.status in _HOPELESS or code == "insufficient_quota"
        self.passing = response.status in _RETRIED or response.status >= 500
        self.wait = retry_after(response.headers)


def accept(response: Response) -> bytes:
    """The body of an answer.

    Raises:
        RefusalError: its status is an error.
    """
    if not 200 <= response.status < 300:
        raise RefusalError(response)
    return response.body


class Retries:
    """Attempts at requests to one server.

    Args:
        where: how error messages name the server.
        patience: how often it is asked, and how long it is waited for.
        failure: what is raised when one request has no answer.
        secret: never shown; some servers repeat the key they refuse.
    """

    def __init__(self, where: str, patience: Patience, failure: type[UnderstudyError], secret: str = "") -> None:
        self._where, self._patience, self._failure, self._secret = where, patience, failure, secret
        self._jitter = random.Random()  # unseeded: processes must not retry in step, and no result depends on it
        self._answers = 0

    async def until_answered(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until there is an answer.

        Args:
            attempt: one try. It raises ``TimeoutError``, ``TransportError``, ``RefusalError``, or ``ValueError`` when
                an answer can't be read.

        Raises:
            OutageError: the server can't be reached, or refuses whatever it is asked.
            UnderstudyError: of the class ``failure``, when only this request has no answer.
        """
        patience, answered_before = self._patience, self._answers
        for number in range(1, patience.attempts + 1):
            wait, reached = 0.0, True
            try:
                answer = await attempt()
                self._answers += 1
                return answer
            except RefusalError as refusal:
                self._answers += 1
                problem, wait = str(refusal), refusal.wait
                if refusal.hopeless:
                    raise self._error(OutageError, problem, number) from None
                if not refusal.passing:
                    raise self._error(self._failure, problem, number) from None
                if wait > patience.timeout:
                    problem = f"{problem} (asks to wait {wait:.0f} s)"
                    raise self._error(self._failure, problem, number) from None
            except TimeoutError:
                problem = f"no reply within {patience.timeout:g} s"
            except TransportError as error:
                problem, reached = str(error), error.connected
                if not reached and not self._answers:  # it never was there
                    raise self._error(OutageError, problem, number) from None
            except ValueError as error:
                self._answers += 1
                problem = str(error)
            if number < patience.attempts:
                bound = min(_LONGEST_BACKOFF, patience.backoff * 2 ** (number - 1))
                await asyncio.sleep(wait + self._jitter.uniform(0, bound))
        gone = not reached and self._answers == answered_before  # neither for this request nor for any beside it
        raise self._error(OutageError if gone else self._failure, problem, patience.attempts)

    def _error(self, kind: type[UnderstudyError], problem: str, attempts: int) -> UnderstudyError:
        line = " ".join(problem.split())
        if self._secret:
            line = line.replace(self._secret, "***")
        return kind(f"{self._where}: {line[:300]} ({attempts} attempt{'s' if attempts > 1 else ''})")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait: ``Retry-After`` in seconds or as a date, or ``retry-after-ms``; 0 if none."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) / unit
        except ValueError:
            parsed = email.utils.parsedate_tz(value)
            seconds = email.utils.mktime_tz(parsed) - time.time() if parsed else 0.0
        if seconds > 0:  # neither negative nor nan
            return seconds
    return 0.0
