"""Implied volatility and Greeks of option candles: the table there is; nothing fills it yet."""

import pandera.polars as pa

from validators.table import TableFacts, declared
from validators.units import FRACTION, PER_USD, PER_YEAR, USD, UTC, VOLATILITY, YEARS, Moment


class OptionsGreeks(pa.DataFrameModel):
    """One row per option and minute with a trade; `iv` is null where `status` says why."""

    timestamp: Moment = pa.Field(description="Open time of the candle", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    underlying: str = pa.Field(description="What the option is on, by currency: BTC, ETH")
    close_timestamp: Moment = pa.Field(
        description="Time of the candle's last trade, which the row values",
        metadata=UTC,
        nullable=True,
    )
    price: float = pa.Field(description="Price of that trade", metadata=USD, nullable=True)
    index_price: float = pa.Field(description="Index at that trade", metadata=USD, nullable=True)
    forward: float = pa.Field(
        description="Forward of the expiry at that trade", metadata=USD, nullable=True
    )
    forward_source: str = pa.Field(
        description="Where the forward's carry comes from", nullable=True
    )
    tenor: float = pa.Field(
        description="Time to expiry, ACT/365 to 08:00 UTC", metadata=YEARS, nullable=True
    )
    rate: float = pa.Field(
        description="Treasury bill rate used by the _disc columns, continuously compounded",
        metadata=PER_YEAR,
        nullable=True,
    )
    coin_rate: float = pa.Field(
        description="rate - ln(forward / index_price) / tenor", metadata=PER_YEAR, nullable=True
    )
    iv: float = pa.Field(
        description="Implied volatility, 0.65 for 65 %", metadata=VOLATILITY, nullable=True
    )
    delta: float = pa.Field(
        description="Change of price with the forward", metadata=FRACTION, nullable=True
    )
    gamma: float = pa.Field(
        description="Change of delta with the forward", metadata=PER_USD, nullable=True
    )
    vega: float = pa.Field(
        description="Change of price per volatility point", metadata=USD, nullable=True
    )
    theta: float = pa.Field(
        description="Change of price per day, capped as the exchange does",
        metadata=USD,
        nullable=True,
    )
    rho: float = pa.Field(
        description="Change of price per 1 % of rate", metadata=USD, nullable=True
    )
    price_disc: float = pa.Field(description="Discounted price", metadata=USD, nullable=True)
    delta_disc: float = pa.Field(
        description="Discounted delta, with the index", metadata=FRACTION, nullable=True
    )
    gamma_disc: float = pa.Field(
        description="Discounted gamma, with the index", metadata=PER_USD, nullable=True
    )
    vega_disc: float = pa.Field(
        description="Discounted vega per volatility point", metadata=USD, nullable=True
    )
    theta_disc: float = pa.Field(
        description="Discounted theta per day, not capped", metadata=USD, nullable=True
    )
    rho_disc: float = pa.Field(
        description="Discounted rho per 1 % with the forward held", metadata=USD, nullable=True
    )
    status: str = pa.Field(description="ok, or the reason why iv is null")

    class Config:
        """Exactly these columns, in this order; a hypertable."""

        strict = True
        ordered = True
        metadata = declared(
            table=TableFacts(
                name="options_greeks",
                about=(
                    "Implied volatility and Greeks of option candles; columns without suffix in "
                    "the exchange's convention (Black-76, rate 0), those in _disc discounted at "
                    "`rate`"
                ),
                schema="public",
                chunk="90 days",
                segment="underlying",  # by instrument, 302 bytes a row for 136: few rows an option
            )
        )
