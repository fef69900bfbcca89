"""The WebSocket of the exchange: subscriptions and the messages they bring.

What is sent between two moments of the exchange is a function of them, of the seed and of the
faults that were switched on; only how it is cut into wakes of the hub depends on the machine.

frames      server frames by hand
line        one connection: handshake, client frames, writes
session     what its client may ask, its heartbeat, its channels
channels    which feed a channel name means
hub         who is subscribed to what, and the loop that sends
bars        every update of every bar of a day
chart, prints, quotes, board, indices, lifecycle, platform
            the feeds
"""
