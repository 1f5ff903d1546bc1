"""HTTP, as far as chat models need it: JSON posted, and an answer of bounded size read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

MAX_BODY_BYTES = 4 << 20
CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 1 << 16


class TransportError(Exception):
    """No whole answer came back; the message is one line. ``connected`` is False if the server was not even reached."""

    def __init__(self, message: str, connected: bool) -> None:
        super().__init__(message)
        self.connected = connected


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered, whatever its status. Names of headers are looked up in any case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """How requests reach a server."""

    async def post(self, body: bytes) -> Response:
        """Send one request.

        Raises:
            TransportError: no whole answer came back, or one that is too large.
        """
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class HttpTransport:
    """A ``Transport`` over HTTP/1.1 with connections kept alive. Time-outs and the number of requests are the caller's.

    Redirects are not followed: a key must not go where nobody sent it.

    Args:
        url: where requests are posted.
        key: sent as a bearer token; empty for none.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes) -> Response:
        """Send one request.

        Raises:
            TransportError: no whole answer came back, or one that is too large.
        """
        if self._session is None:  # made where an event loop runs
            self._session = _session(self._url, self._headers)
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                return Response(response.status, response.reason or "", response.headers, await _read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise TransportError(f"connection failed ({why or error})", connected=False) from None
        except aiohttp.ClientError as error:
            raise TransportError(f"connection lost ({error or type(error).__name__})", connected=True) from None

    async def aclose(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()


def _session(url: str, headers: dict[str, str]) -> aiohttp.ClientSession:
    parts = urlsplit(url)
    # Proxies are taken from the environment, but not credentials from .netrc, which the library would add.
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return aiohttp.ClientSession(
        headers=headers,
        proxy=proxy,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            response.close()
            raise TransportError(f"the reply has more than {MAX_BODY_BYTES} bytes", connected=True)
    return b"".join(parts)
