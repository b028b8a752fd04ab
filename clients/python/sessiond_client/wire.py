"""Calls over HTTP/1.1: asyncio moves the bytes, and `http.client` reads them. Owns the bounds of time and length.

Each call has a connection of its own: no answer can be that to another question, and loops and forks share nothing.
Must never follow a redirect: it would take the secret along.
"""

import asyncio
import io
import socket
import ssl
from http.client import HTTPResponse
from typing import Any, cast
from urllib.parse import urlsplit

LONGEST_ANSWER = 65_536


class Wire:
    def __init__(self, url: str, time_limit: float, context: ssl.SSLContext | None) -> None:
        self._at, self._limit = urlsplit(url), time_limit
        if self._at.scheme not in ("http", "https") or not self._at.hostname or set("@?#\r\n ") & set(url):
            raise ValueError("`url` must be an http or https address without user name, query and fragment")
        self._context = (context or ssl.create_default_context()) if self._at.scheme == "https" else None

    async def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        all_headers = headers | {"Host": self._at.netloc, "Content-Length": str(len(body)), "Connection": "close"}
        head = [f"{method} {self._at.path.rstrip('/')}{path} HTTP/1.1", *map(": ".join, all_headers.items()), "\r\n"]
        port = self._at.port or (443 if self._context else 80)
        async with asyncio.timeout(self._limit):
            reader, writer = await asyncio.open_connection(self._at.hostname, port, ssl=self._context)
            try:
                writer.write("\r\n".join(head).encode() + body)
                raw = b""
                while part := await reader.read(LONGEST_ANSWER):
                    raw += part
                    if len(raw) > LONGEST_ANSWER:
                        raise ValueError("the answer is too long")
            finally:
                writer.transport.abort()
        response = HTTPResponse(cast(socket.socket, _Received(raw)), method=method)
        response.begin()
        return response, response.read()


class _Received(io.BytesIO):
    def makefile(self, *_: Any) -> io.BytesIO:
        return self
