"""A SOCKS5 proxy on loopback, as small as one can be; it writes down whom it led where."""

import asyncio
from contextlib import asynccontextmanager

VERSION, NO_LOGIN, LOGIN, CONNECT, NAME, IPV4 = 5, 0, 2, 1, 3, 1


class Socks5:
    def __init__(self, *, login=None):
        self.login = login
        self.led_to = []
        self.port = 0
        self._open = set()

    @asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0.01)  # for what was aborted to end

    async def _serve(self, reader, writer):
        self._open.add(writer)
        try:
            if await self._is_let_in(reader, writer):
                await self._lead(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        writer.close()

    async def _is_let_in(self, reader, writer):
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        wanted = LOGIN if self.login else NO_LOGIN
        writer.write(bytes([VERSION, wanted if wanted in offered else 0xFF]))
        if wanted != LOGIN:
            return wanted in offered
        _, size = await reader.readexactly(2)
        user = await reader.readexactly(size)
        (size,) = await reader.readexactly(1)
        password = await reader.readexactly(size)
        is_right = (user.decode(), password.decode()) == self.login
        writer.write(bytes([1, 0 if is_right else 1]))
        return is_right

    async def _lead(self, reader, writer):
        _, _command, _, kind = await reader.readexactly(4)
        size = (await reader.readexactly(1))[0] if kind == NAME else 4
        raw = await reader.readexactly(size)
        host = raw.decode() if kind == NAME else ".".join(map(str, raw))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.led_to.append(f"{host}:{port}")
        there, here = await asyncio.open_connection("127.0.0.1", port)
        self._open.add(here)
        writer.write(bytes([VERSION, 0, 0, IPV4, 0, 0, 0, 0, 0, 0]))
        await asyncio.gather(_copy(reader, here), _copy(there, writer))


async def _copy(source, sink):
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
    sink.close()
