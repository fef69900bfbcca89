#!/usr/bin/env bash
# picows 2.3.1: a server that hangs up before it answers the handshake is no error, and no listener.
#
# Guessed: `ws_connect` raises unless there is a connection, as it does for a refused one and for a
# status other than 101. Seen: where the server takes the connection, reads the
# request and closes without a byte, `ws_connect` returns, and the listener is None, though the type
# says it is one. So a server behind a proxy that is being restarted looks like an open socket until
# somebody touches the listener.
#
# Output seen:
#   refused: ConnectionRefusedError
#   status 503: WSInvalidStatusError
#   hung up: returned, listener is None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check picows==2.3.1

cat > "$folder/ask.py" <<'PYTHON'
import asyncio
import socket

from picows import WSListener, ws_connect


async def told(port):
    try:
        _, listener = await ws_connect(WSListener, f"ws://127.0.0.1:{port}", use_aiofastnet=False)
    except Exception as error:
        return type(error).__name__
    return f"returned, listener is {listener}"


def answering(answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    return asyncio.start_server(serve, "127.0.0.1", 0)


async def main():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    print("refused:", await told(port))
    busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    for name, answer in (("status 503", busy), ("hung up", b"")):
        server = await answering(answer)
        print(f"{name}:", await told(server.sockets[0].getsockname()[1]))
        server.close()


asyncio.run(main())
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" 2> "$folder/errors" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
refused: ConnectionRefusedError
status 503: WSInvalidStatusError
hung up: returned, listener is None
EXPECTED
