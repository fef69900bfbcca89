"""Everything this exchange ever lists."""

from tests.exchange.expiries import dated_futures, former_futures, linear_futures
from tests.exchange.instruments import PERPETUALS
from tests.exchange.perpetuals import LATER_PERPETUALS

FUTURES = dated_futures()
"""Those on bitcoin and ether that settle in coin: options and combos follow them."""
ALL_PERPETUALS = (*PERPETUALS, *LATER_PERPETUALS)
ALL_FUTURES = (*FUTURES, *linear_futures(ALL_PERPETUALS), *former_futures(ALL_PERPETUALS))
INSTRUMENTS = (*ALL_PERPETUALS, *ALL_FUTURES)
BY_NAME = {instrument.name: instrument for instrument in INSTRUMENTS}
