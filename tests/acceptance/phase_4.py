"""Phase 4, Greeks: the calculator, the rates, Greeks of every candle, and the exchange's own."""

import io
import json
import math
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from quant.greeks import with_all_greeks
from tests.acceptance.smoke import Trial, smoke
from tests.exchange import bills
from tests.exchange.option_market import black76
from tests.exchange.relay import Alter, Answer, relaying
from tests.exchange.running import NOW, running

CURRENCIES = "BTC,ETH"
CHAIN = "public/get_book_summary_by_currency"
RATES = (date(2025, 8, 1), date(2025, 10, 17))
HULL = {"price_disc": 2.4005, "delta_disc": 0.522, "gamma_disc": 0.066, "vega_disc": 0.121}
"""J. C. Hull, "Options, Futures, and Other Derivatives", chapter on Greeks: his call on a stock."""
GREEKS = """\
SELECT instrument, timestamp, forward, tenor, iv, delta, gamma, vega, rate, status
FROM options_greeks ORDER BY instrument, timestamp"""
MONEYNESS = {"deep ITM", "ITM", "ATM", "OTM", "deep OTM"}
STEP, POINT = 1e-4, 0.01
"""Of a forward, as a share; of a volatility, one point."""


@smoke("SMK-014", tasks=("T-020", "T-021"), criteria=("AC-013", "AC-014"))
def calculator_and_rates_are_right(trial: Trial) -> None:
    """The calculator gives a textbook's Greeks, and the rates are what the Treasury published."""
    spot, rate, tenor = 49.0, 0.05, 20 / 52
    call = {
        "forward": spot * math.exp(rate * tenor),
        "index_price": spot,
        "strike": 50.0,
        "tenor": tenor,
        "iv": 0.20,
        "rate": rate,
        "option_type": "call",
        "instrument_type": "linear",
    }
    made = with_all_greeks(pl.DataFrame([call])).row(0, named=True)
    ours = {name: made[name] for name in HULL}
    trial.write("T-020-calculator.json", json.dumps({"hull": HULL, "ours": ours}, indent=1))
    near = {name: abs(ours[name] - HULL[name]) for name in HULL}
    trial.holds("as printed, to half a last digit", within_print(near), ours)

    stage = trial.stage
    words = ("--start", str(RATES[0]), "--end", str(RATES[1] + timedelta(days=1)))
    stage.run("just", "rates", *words, host=stage.options.url)
    sql = "SELECT timestamp::DATE AS day, published_on::DATE AS on_day, rate_1m FROM treasury_bills"
    rows = stage.lake_rows(f"{sql} ORDER BY timestamp")
    lines = "".join(f"{row['day']},{row['on_day']},{row['rate_1m']}\n" for row in rows)
    trial.write("T-021-rates.csv", f"day,published_on,rate_1m\n{lines}")
    days = [row["day"] for row in rows]
    trial.equal("days", days, [str(day) for day in bills.days(*RATES)])
    off = max(abs(row["rate_1m"] - continuous(row["on_day"])) for row in rows)
    trial.holds("2 ln(1 + y/2) of the published yields", off < 1e-12, off)


def within_print(near: dict[str, float]) -> bool:
    """Say whether each is as near as the textbook prints it."""
    digits = {"price_disc": 4, "delta_disc": 3, "gamma_disc": 3, "vega_disc": 3}
    return all(near[name] <= 0.5 * 10.0**-digit * 1.01 for name, digit in digits.items())


def continuous(day: str) -> float:
    """Return the continuous rate of the month's yield the simulated Treasury published on a day."""
    return 2 * math.log1p(bills.yields(date.fromisoformat(day))[1.0] / 100 / 2)


@smoke("SMK-015", tasks=("T-022", "T-024"), criteria=("AC-013", "AC-015"))
def every_candle_has_greeks(trial: Trial) -> None:
    """Every option candle has Greeks that prices confirm, or a reason; so has the database."""
    stage = trial.stage
    span = ("--start", stage.scale.options[0], "--end", stage.scale.options[1])
    words = ("--currency", CURRENCIES, *span)
    stage.run("just", "backfill_options", *words, host=stage.options.url)
    rates = ("--start", "2025-08-01", "--end", stage.scale.options[1])
    stage.run("just", "rates", *rates, host=stage.options.url)
    told = stage.run("just", "greeks", "--currency", CURRENCIES)
    answer = stage.run("deribit-lake", "query", GREEKS, "--format", "csv")
    rows = pl.read_csv(io.StringIO(answer), infer_schema_length=None)
    candles = stage.lake_rows("SELECT count(*) AS n FROM options_ohlcv")[0]["n"]
    trial.equal("rows, of the options' candles", len(rows), candles)
    ok = rows.filter(pl.col("status") == "ok")
    statuses = dict(rows["status"].value_counts(sort=True).iter_rows())
    off = {name: float(value.max()) for name, value in differences(ok).items()}
    trial.write("T-022-greeks.txt", f"{told}\n{json.dumps({'statuses': statuses, 'off': off})}\n")
    trial.equal("rows without a reason", rows["status"].null_count(), 0)
    trial.holds("19 in 20 have them", len(ok) > 0.95 * len(rows) > 0, statuses)
    trial.holds("as price differences say", max(off.values()) < 1e-4, off)
    trial.holds("each with a rate", bool(ok["rate"].is_between(0.03, 0.06).all()), len(ok))
    for dataset in ("options_ohlcv", "options_greeks"):
        stage.run("deribit-lake", "load", "--dataset", dataset, DERIBIT_LAKE_DSN=stage.dsn)
        trial.equal(
            f"{dataset} in the database", stage.count(f"SELECT count(*) FROM {dataset}"), candles
        )
    sql = (
        "SELECT instrument, timestamp, iv, delta, gamma, vega, theta, rho FROM options_greeks "
        "ORDER BY timestamp, instrument LIMIT 20;"
    )
    trial.write("T-024-options-greeks.sql", commented(sql, stage.psql("-c", sql)))
    stage.run(
        "deribit-lake", "verify-db", "--dataset", "options_greeks", DERIBIT_LAKE_DSN=stage.dsn
    )


def commented(sql: str, told: str) -> str:
    """Return a query with its answer as comments."""
    return sql + "\n" + "".join(f"-- {line}\n" for line in told.rstrip().splitlines())


def differences(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return how far Greeks are from differences of the simulator's own prices, as a share of 1.

    Delta is a share itself; gamma and vega are held against the largest they can be.
    """
    parts = rows["instrument"].str.split("-").list
    strike = parts.get(2).cast(pl.Float64).to_numpy()
    sign = np.where(parts.get(3) == "C", 1.0, -1.0)
    forward, tenor, iv = (rows[name].to_numpy() for name in ("forward", "tenor", "iv"))
    root = np.sqrt(np.maximum(tenor, 0.0))

    def worth(at: np.ndarray, vol: np.ndarray) -> np.ndarray:
        return np.asarray(black76.price(at, strike, vol * root, sign))

    # A step no wider than the option's own spread: near expiry a gamma is a spike.
    step = forward * np.minimum(STEP, 0.01 * np.maximum(iv * root, 1e-6))
    up, down = worth(forward + step, iv), worth(forward - step, iv)
    highest = forward * root / math.sqrt(2 * math.pi)
    gamma = (up - 2 * worth(forward, iv) + down) / step**2
    peak = 1 / (forward * np.maximum(iv * root, 1e-6) * math.sqrt(2 * math.pi))
    vega = (worth(forward, iv + POINT * STEP) - worth(forward, iv - POINT * STEP)) / (2 * STEP)
    return {
        "delta": np.abs((up - down) / (2 * step) - rows["delta"].to_numpy()),
        "gamma": np.abs(gamma - rows["gamma"].to_numpy()) / peak,
        "vega": np.abs(vega - rows["vega"].to_numpy()) / np.maximum(highest * POINT, 1e-9),
    }


@smoke("SMK-016", tasks=("T-023",), criteria=("AC-014",))
def greeks_are_the_exchange_s(trial: Trial) -> None:
    """Our Greeks are the exchange's own, day after day; one that is wrong is told."""
    stage, scale = trial.stage, trial.stage.scale
    last = datetime.fromisoformat(NOW)
    for number in range(scale.ticker_days):
        at = last - timedelta(days=scale.ticker_days - 1 - number, hours=-7)
        snapshot(trial, at, "tickers", lambda answer: answer)
    out = stage.folder / "greeks"
    words = ("--days", scale.ticker_days, "--out", out, "--json")
    told = stage.run("just", "validate-greeks", *words, **lake_of(trial, "tickers"))
    found = json.loads(told)
    for name in ("greeks_errors.csv", "greeks.html"):
        trial.write(f"T-023-{name.replace('_', '-')}", (out / name).read_bytes())
    trial.write("T-023-validate-greeks.json", told)
    trial.equal("verdict", found["verdict"], "PASS")
    trial.equal("tickers compared", found["rows"], scale.ticker_days * scale.tickers)
    errors = pl.read_csv(out / "greeks_errors.csv", infer_schema_length=None)
    trial.equal("from the money", set(errors["moneyness"]), MONEYNESS)
    for name in ("delta", "vega", "theta", "rho"):  # of bitcoin's gamma two digits are printed
        large = errors.filter(pl.col("quantity") == name)["large"].sum()
        trial.holds(f"{name} was large enough to tell", large > 0, large)

    snapshot(trial, last, "wrong", wrong_vega)
    words = ("validate-greeks", "--out", stage.folder / "wrong-greeks")
    done = stage.outcome("deribit-lake", *words, **lake_of(trial, "wrong"))
    trial.equal("an exchange with another vega ends with", done.returncode, 3)
    trial.holds("and is named", "the worst: vega of BTC" in done.stderr, done.stderr)


def lake_of(trial: Trial, name: str) -> dict[str, str]:
    """Return the setting of another lake."""
    return {"DERIBIT_LAKE_ROOT": str(trial.stage.folder / name)}


def snapshot(trial: Trial, at: datetime, lake: str, alter: Alter) -> None:
    """Keep some tickers of the chain as the exchange has it at a moment."""
    scale = trial.stage.scale

    def thinned(answer: Answer) -> Answer:
        if answer.method == CHAIN:
            return answer.with_result(spread(answer.result, scale.tickers))
        return alter(answer)

    with ExitStack() as stack:
        told = {"now": f"{at:%Y-%m-%dT%H:%M:%SZ}", "limits": False}
        own = running(**told, options_since=f"{at:%Y-%m-%d}", option_activity=scale.activity)
        relay = stack.enter_context(relaying(stack.enter_context(own).url, thinned))
        words = ("snapshot", "options", "--currency", "BTC", "--tickers")
        free = {"DERIBIT_LAKE_CREDIT_CAPACITY": "1e9", "DERIBIT_LAKE_CREDIT_REFILL": "1e9"}
        trial.stage.run("deribit-lake", *words, host=relay, **free, **lake_of(trial, lake))


def spread(chain: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return options of a chain: half of them nearest the money, half spread over all others."""
    near = sorted(chain, key=from_the_money)
    half = count // 2
    others = near[half:]
    return [*near[:half], *others[:: len(others) // (count - half)][: count - half]]


def from_the_money(quote: dict[str, Any]) -> float:
    """Return how far an option's strike is from its forward, as a logarithm."""
    strike = float(str(quote["instrument_name"]).split("-")[2])
    return abs(math.log(strike / quote["underlying_price"]))


def wrong_vega(answer: Answer) -> Answer:
    """Return a ticker whose vega is 2 % more than it is."""
    if answer.method != "public/ticker":
        return answer
    told = answer.result
    greeks = told["greeks"] | {"vega": told["greeks"]["vega"] * 1.02}
    return answer.with_result(told | {"greeks": greeks})
