"""Records as the exchange sent them, many of them in little memory."""

from array import array

import pyarrow as pa

BLOCK_RECORDS = 48  # some 40 kB: a look at any record unpacks as much, in 30 µs
_ZSTD = pa.Codec("zstd", 1)


class Records:
    """Records by number, in the order they were added; whole blocks of them are compressed.

    They are much alike: three hundred thousand options, 300 MB as they were sent, take 20 MB.
    Whoever reads them in about the order in which they were added unpacks a block once.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._ends = array("Q")  # of each record, in its block
        self._filling = bytearray()
        self._unpacked = -1, b""  # the block read last

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends)

    def add(self, record: bytes) -> int:
        """Keep a record, and return its number."""
        self._filling += record
        self._ends.append(len(self._filling))
        if len(self) % BLOCK_RECORDS == 0:
            self._blocks.append(_ZSTD.compress(bytes(self._filling), asbytes=True))
            self._filling = bytearray()
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        """Return the record of a number."""
        block, first = divmod(number, BLOCK_RECORDS)
        start = self._ends[number - 1] if first else 0
        return bytes(self._block(block)[start : self._ends[number]])

    def _block(self, block: int) -> bytes | bytearray:
        if block == len(self._blocks):
            return self._filling
        if self._unpacked[0] != block:
            size = self._ends[(block + 1) * BLOCK_RECORDS - 1]
            unpacked = _ZSTD.decompress(self._blocks[block], size, asbytes=True)
            self._unpacked = block, unpacked
        return self._unpacked[1]
