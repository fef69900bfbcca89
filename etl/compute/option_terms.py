"""What the names of options say, as arrays by the code of each name."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from etl.instruments.names import EARLY_MORE_MS, EARLY_MS, with_name_parts

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """What a set of option names says; all arrays have shape (n,), in the order of the names.

    Attributes
    ----------
    underlyings : list of str
        The underlyings there are, sorted: BTC, BTC_USDC.
    underlying : int64 array
        Of each option, as a number into them [1].
    expiry : int64 array
        Moment of expiry [us since 1970].
    strike : float64 array
        Strike [USD].
    is_call, is_coin : bool array
        Whether it is a call, and whether its premium is paid in the coin [1].
    """

    underlyings: list[str]
    underlying: Ints
    expiry: Ints
    strike: Floats
    is_call: Bools
    is_coin: Bools

    def expiries(self, underlying: int) -> tuple[Ints, Ints]:
        """Return the moments of expiry of one underlying, sorted, and each option's number there.

        Options of other underlyings have some number, too, that means nothing.
        """
        moments = np.unique(self.expiry[self.underlying == underlying])
        return moments, np.searchsorted(moments, self.expiry).astype(np.int64)


def terms_of(names: pa.Array) -> OptionTerms:
    """Return what names of options say; what is no option is not among them."""
    said = with_name_parts(pl.DataFrame({"instrument": pl.Series(names, dtype=pl.String)}))
    family = said["instrument"].str.split_exact("-", 0).struct[0]
    named_ms = pl.col("expiry").dt.epoch("ms")
    later_ms = pl.when(named_ms < EARLY_MS).then(EARLY_MORE_MS).otherwise(0)
    expiry = said.select((named_ms + later_ms) * 1000).to_series()
    underlyings = family.unique().sort().to_list()
    return OptionTerms(
        underlyings=underlyings,
        underlying=np.searchsorted(np.array(underlyings, object), family.to_numpy()),
        expiry=expiry.to_numpy(),
        strike=said["strike"].to_numpy(),
        is_call=(said["option_type"] == "call").to_numpy(),
        is_coin=said["counter"].is_null().to_numpy(),
    )
