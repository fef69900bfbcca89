"""Realtime: what the exchange sends over its sockets, kept, watched and brought into the lake."""
