"""Messages of sockets as a collector leaves them: journalled, and settled into raw."""

import msgspec

from lake.journal import Journal
from lake.messages import KEEP_ALL, settle


def hear(lake, family, *told, thin=KEEP_ALL, connection=0):
    """Settle a journal of ``(received [ms], channel, data)``; data may be bytes of any message."""
    journal = Journal.open(lake, told[0][0] * 1000)
    journal.append(
        [
            (round(ms * 1000), connection, family, channel, _message(channel, data))
            for ms, channel, data in told
        ]
    )
    journal.write()
    journal.close()
    return settle(lake, journal.path, thin)


def _message(channel, data):
    if isinstance(data, bytes):
        return data
    params = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params})
