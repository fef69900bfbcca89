"""Phase 3, options: every trade, implied volatilities, surfaces."""

import csv
import io
import json

import httpx
import numpy as np
import polars as pl

from tests.acceptance.smoke import Trial, smoke
from tests.browser import CHROMIUM, browsing
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.option_market import black76
from tests.exchange.running import NOW

CURRENCIES = ("BTC", "ETH")
KEY = ["instrument", "trade_seq"]
TRADE = [*KEY, "trade_id", "price", "amount"]
NEAR_MONEY = "0.9..1.1"
ALIVE = (
    "SELECT instrument, strike, option_type, expiration_timestamp FROM instruments "
    "WHERE kind = 'option' AND settlement_currency = '{currency}' AND valid_to IS NULL "
    f"AND expiration_timestamp > {milliseconds(NOW)} ORDER BY instrument"
)
GRID = """\
SELECT timestamp, underlying, source, days, point, strike, log_moneyness, iv, iv_error
FROM vol_grid WHERE point LIKE 'K%' AND iv IS NOT NULL
ORDER BY underlying, source, timestamp, days, strike"""
IV = """\
SELECT instrument, timestamp, trade_seq, price, forward, iv, iv_difference, forward_source,
    is_near_expiry, status
FROM option_iv ORDER BY instrument, trade_seq"""


def backfilled(trial: Trial, *words: str) -> str:
    """Run the backlog's command for the options of the scale's span, and return what it says."""
    stage = trial.stage
    return stage.run("just", "backfill_options", *span_of(trial), *words, host=stage.options.url)


def span_of(trial: Trial) -> tuple[str, ...]:
    """Return the options of the command that choose the scale's span."""
    first, end = trial.stage.scale.options
    return "--start", first, "--end", end


@smoke("SMK-011", tasks=("T-014", "T-015", "T-016", "T-017"), criteria=("AC-010",))
def every_option_trade_is_held(trial: Trial) -> None:
    """The living options are listed, and every trade of every option in a span is held."""
    stage = trial.stage
    refresh = ("instruments", "refresh", "--currency", ",".join(CURRENCIES))
    stage.run("deribit-lake", *refresh, host=stage.options.url)
    listed = ""
    for currency in CURRENCIES:
        told = stage.run(
            "deribit-lake", "query", ALIVE.format(currency=currency), "--format", "csv"
        )
        listed += told if not listed else told.partition("\n")[2]
        names = {row["instrument"] for row in csv.DictReader(io.StringIO(told))}
        trial.equal(f"living options of {currency}", sorted(names), alive(trial, currency))
    trial.write("T-014-options-list.csv", listed)

    market = Market(7, milliseconds(NOW), option_activity=stage.scale.activity)
    bounds = [milliseconds(day) for day in stage.scale.options]
    for currency, task in zip(CURRENCIES, ("T-016", "T-017"), strict=True):
        told = backfilled(trial, "--currency", currency)
        truth = market.option_trades(currency, *bounds).rename({"instrument_name": "instrument"})
        held = trades(trial, currency)
        words = f"$ just backfill_options {' '.join(span_of(trial))} --currency {currency}"
        counts = f"trades held: {len(held)}; the market's own: {len(truth)}"
        trial.write(f"{task}-{currency.lower()}-options.txt", f"{words}\n{told}\n{counts}\n")
        trial.holds(f"options of {currency} were traded", len(truth) > 0, len(truth))
        is_equal = held.select(TRADE).sort(KEY).equals(truth.select(TRADE).sort(KEY))
        trial.holds(
            f"each trade of {currency} is held, once, as it was", is_equal, (len(held), len(truth))
        )
    near = json.loads(backfilled(trial, "--currency", "BTC", "--strikes", NEAR_MONEY, "--json"))
    trial.write("T-015-strike-filter.json", f"{json.dumps(near, indent=1)}\n")
    counted = sum(one["rows"] for one in near["instruments"])
    chosen = trades(trial, "BTC").filter(moneyness().is_between(0.9, 1.1))
    trial.equal(f"trades of strikes {NEAR_MONEY} x index", counted, len(chosen))


def alive(trial: Trial, currency: str) -> list[str]:
    """Return the options the exchange itself lists now."""
    params = {"currency": currency, "kind": "option", "expired": "false"}
    url = f"{trial.stage.options.url}/api/v2/public/get_instruments"
    told = httpx.get(url, params=params, trust_env=False, timeout=60).json()["result"]
    return sorted(one["instrument_name"] for one in told)


def trades(trial: Trial, currency: str) -> pl.DataFrame:
    """Return the trades of a currency's options the lake holds."""
    paths = sorted(trial.stage.lake.glob(f"clean/option_trades/{currency}/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths])


def moneyness() -> pl.Expr:
    """Return strike over index."""
    strike = pl.col("instrument").str.split("-").list.get(2).str.replace("d", ".")
    return strike.cast(pl.Float64) / pl.col("index_price")


@smoke("SMK-012", tasks=("T-018",), criteria=("AC-011",))
def volatilities_give_the_prices_back(trial: Trial) -> None:
    """Every trade has a volatility that gives its price back, or a reason why there is none."""
    backfilled(trial, "--currency", ",".join(CURRENCIES))
    trial.stage.run("just", "iv", "--currency", ",".join(CURRENCIES))
    rows = pl.DataFrame(
        pl.read_csv(
            io.StringIO(trial.stage.run("deribit-lake", "query", IV, "--format", "csv")),
            infer_schema_length=None,
        )
    )
    held = sum(len(trades(trial, currency)) for currency in CURRENCIES)
    trial.equal("rows, of the trades", len(rows), held)
    ok = rows.filter(pl.col("status") == "ok")
    statuses = dict(rows["status"].value_counts(sort=True).iter_rows())
    off = np.abs(priced(ok) - ok["price"].to_numpy())
    exchange = ok.filter(pl.col("forward_source") == "trade", ~pl.col("is_near_expiry"))
    differences = exchange["iv_difference"].drop_nulls().abs()
    figures = {
        "statuses": statuses,
        "largest error of a price given back [coin]": float(off.max()),
        "median distance from the exchange's own": float(differences.median()),
    }
    trial.write("T-018-implied-volatility.json", f"{json.dumps(figures, indent=1)}\n")
    trial.holds("19 in 20 have one", len(ok) > 0.95 * len(rows), statuses)
    trial.holds("a price comes back to 1e-9", off.max() < 1e-9, figures)
    trial.holds("as the exchange implies, to 0.01 %", differences.median() < 1e-4, figures)


def priced(rows: pl.DataFrame) -> np.ndarray:
    """Return the premiums [coin] the volatilities give, by the simulator's own Black-76."""
    parts = rows["instrument"].str.split("-")
    expiry = parts.list.get(1).str.to_datetime("%d%b%y", time_zone="UTC").dt.epoch("ms")
    at = rows["timestamp"].str.to_datetime(time_zone="UTC", strict=True).dt.epoch("us") / 1000
    years = ((expiry + 8 * 3_600_000 - at) / black76.YEAR_MS).to_numpy()
    strike = parts.list.get(2).cast(pl.Float64).to_numpy()
    sign = np.where(parts.list.get(3) == "C", 1.0, -1.0)
    forward = rows["forward"].to_numpy()
    stdev = rows["iv"].to_numpy() * np.sqrt(years)
    return np.asarray(black76.price(forward, strike, stdev, sign) / forward)


@smoke("SMK-013", tasks=("T-019",), criteria=("AC-012",))
def surface_is_free_of_arbitrage(trial: Trial) -> None:
    """The surface by strike and expiry has no arbitrage, is the market's, and is drawn offline."""
    stage = trial.stage
    backfilled(trial, "--currency", ",".join(CURRENCIES))
    stage.run("just", "surface", "--currency", ",".join(CURRENCIES))
    paths = sorted(stage.lake.glob("derived/vol_slices/*/*.parquet"))
    smiles = pl.concat([pl.read_parquet(path) for path in paths]).filter(pl.col("status") == "ok")
    columns = ("timestamp", "underlying", "expiry", "tenor", "forward", "atm_iv", "atm_error")
    trial.write("T-019-surface.csv", smiles.select(columns).write_csv())
    trial.holds("there are smiles of both", set(smiles["underlying"]) >= {*CURRENCIES}, len(smiles))
    trial.equal("smiles with an arbitrage", smiles["violations_after"].sum(), 0)
    margin = smiles["calendar_margin"].drop_nulls().min()
    trial.holds("variance grows with expiry", margin is not None and margin >= -1e-12, margin)
    true = smiles.filter(pl.col("underlying") == "BTC")
    share = float((off_in_errors(trial, true) < 4).mean())
    trial.holds("19 in 20 are the market's within four errors", share > 0.95, share)
    gridded(trial)
    drawn(trial, true["timestamp"].max())


def gridded(trial: Trial) -> None:
    """Hold the surface by strike and days to expiry: variance falls nowhere as days increase."""
    told = trial.stage.run("deribit-lake", "query", GRID, "--format", "csv")
    trial.write("T-019-surface-by-strike.csv", told)
    points = pl.read_csv(io.StringIO(told), infer_schema_length=None)
    strikes, days = points["point"].n_unique(), points["days"].n_unique()
    trial.holds("strikes and days make a grid", min(strikes, days) > 1, (strikes, days))
    same = ("timestamp", "underlying", "source", "point")
    steps = points.sort("days").with_columns(
        (pl.col("iv") ** 2 * pl.col("days")).diff().over(same, order_by="days").alias("rise")
    )
    least = steps["rise"].drop_nulls().min()
    trial.holds("at no strike less variance later", least is not None and least > -1e-9, least)


def off_in_errors(trial: Trial, smiles: pl.DataFrame) -> pl.Series:
    """Return how far volatilities at the money are from the market's, in their own errors."""
    market = Market(7, milliseconds(NOW), option_activity=trial.stage.scale.activity)
    moments = smiles.select(pl.col("timestamp").dt.epoch("ms"), "tenor").iter_rows()
    true = pl.Series([market.option_vol("BTC", at, tenor) for at, tenor in moments])
    return (smiles["atm_iv"] - true).abs() / smiles["atm_error"]


def drawn(trial: Trial, at: object) -> None:
    """Draw the surface of a moment, and look at it with a browser that has no network."""
    page = trial.stage.folder / "surface.html"
    moment = f"{at:%Y-%m-%dT%H:%M}"
    words = ("plot", "surface", "--currency", "BTC", "--at", moment, "--out", page)
    trial.stage.run("deribit-lake", *words)
    trial.write("T-019-surface.html", page.read_bytes())
    trial.holds("Chromium is here to look at it", bool(CHROMIUM), CHROMIUM)
    with browsing(webgl=False) as tab:
        tab.open(page, width=1200)
        picture = trial.stage.folder / "surface.png"
        tab.picture(picture)
    trial.write("T-019-surface.png", picture.read_bytes())
    outside = [url for url in tab.requests if not url.startswith(("file:", "data:", "blob:"))]
    trial.equal("requests that leave the page", outside, [])
    trial.equal("complaints of the browser", tab.complaints, [])
