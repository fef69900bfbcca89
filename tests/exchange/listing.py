"""Everything this exchange ever lists."""

from tests.exchange.expiries import dated_futures
from tests.exchange.instruments import PERPETUALS

FUTURES = dated_futures()
INSTRUMENTS = (*PERPETUALS, *FUTURES)
BY_NAME = {instrument.name: instrument for instrument in INSTRUMENTS}
