"""Phase 2, dated futures: every one ever listed, fetched side by side, and their basis."""

import json
import time
from collections import Counter

from tests.acceptance.smoke import Trial, smoke
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import FUTURES
from tests.exchange.market import Market
from tests.exchange.running import NOW

CAPACITY, REFILL = 50_000, 10_000
"""The exchange's bucket of credits, and what flows into it in a second."""
MOST_CONNECTIONS = 32
"""Of one address, as the exchange allows."""
NEAR = 1e-9
LISTED = (
    "SELECT DISTINCT instrument, settlement_period, creation_timestamp, expiration_timestamp "
    "FROM instruments WHERE kind = 'future' AND settlement_period <> 'perpetual' "
    "AND settlement_currency IN ('BTC', 'ETH') ORDER BY instrument"
)
HELD = "SELECT instrument, count(*) AS n FROM futures_ohlcv GROUP BY instrument ORDER BY instrument"
BASIS = """\
SELECT count(*) AS n,
    max(abs(b.basis - (f.close - p.close))) AS off,
    max(abs(b.basis_annualised
        - (f.close / p.close - 1) * 365 / NULLIF(b.days_to_expiry, 0))) AS rate_off
FROM {basis} b
JOIN futures_ohlcv f USING (instrument, timestamp)
JOIN perpetuals_ohlcv p ON p.timestamp = b.timestamp
    AND p.instrument = split_part(b.instrument, '-', 1) || '-PERPETUAL'
WHERE b.status = 'ok'"""
DAILY = """\
SELECT timestamp::DATE AS day, instrument, avg(basis) AS basis, avg(basis_annualised) AS annualised,
    count(*) AS minutes
FROM futures_basis WHERE status = 'ok' GROUP BY ALL ORDER BY day, instrument"""


@smoke("SMK-008", tasks=("T-009",), criteria=("AC-007",))
def every_future_is_listed(trial: Trial) -> None:
    """Every dated future of BTC and ETH there ever was is in the list, those that expired too."""
    stage = trial.stage
    words = ("instruments", "refresh", "--currency", "BTC,ETH")
    stage.run("deribit-lake", *words, host=stage.options.url)
    csv = stage.run("deribit-lake", "query", LISTED, "--format", "csv")
    trial.write("T-009-futures-list.csv", csv)
    found = {line.partition(",")[0] for line in csv.splitlines()[1:]}
    now_ms = milliseconds(NOW)
    born = [one for one in FUTURES if one.creation_ms <= now_ms]
    there_were = {one.name for one in born if one.name.startswith(("BTC-", "ETH-"))}
    trial.holds("there were hundreds", len(there_were) > len(born) // 2 > 0, len(there_were))
    trial.equal("not listed", sorted(there_were - found), [])
    trial.equal("listed, and never were", sorted(found - there_were), [])


@smoke("SMK-009", tasks=("T-010", "T-011", "T-012"), criteria=("AC-007", "AC-009"))
def futures_come_side_by_side(trial: Trial) -> None:
    """All futures of a span are fetched at once under one credit bucket, each over its own life."""
    stage, exchange, span = trial.stage, trial.stage.exchange, trial.stage.scale.futures
    before, began = exchange.stats(), time.monotonic()
    words = ("--currency", "BTC,ETH", "--start", span[0], "--end", span[1])
    told = stage.run("just", "backfill_futures", *words, host=exchange.url)
    seconds, after = time.monotonic() - began, exchange.stats()
    spent = after["credits_spent"] - before["credits_spent"]
    refused = Counter(after["by_outcome"]) - Counter(before["by_outcome"])
    said = {"seconds": round(seconds, 1), "credits": spent, "outcomes": dict(refused)}
    text = f"$ just backfill_futures {' '.join(words)}\n{told}\n{json.dumps(said)}\n"
    trial.write("T-010-backfill-futures.txt", text)
    most = after["max_connections"]
    trial.holds("requests were under way side by side", 1 < most <= MOST_CONNECTIONS, most)
    trial.holds("within the credits", spent <= CAPACITY + REFILL * seconds, said)
    trial.holds("hardly any was refused", refused["error 10028"] <= refused["ok"] // 100, said)

    market = Market(7, milliseconds(NOW))
    for currency, task in (("BTC", "T-011"), ("ETH", "T-012")):
        expected = lives(market, currency, span)
        sql = HELD.replace("GROUP BY", f"WHERE instrument LIKE '{currency}-%' GROUP BY", 1)
        held = {row["instrument"]: row["n"] for row in stage.lake_rows(sql)}
        lines = "".join(f"{name} {rows}\n" for name, rows in held.items())
        total = f"{sum(held.values())} rows"
        trial.write(f"{task}-{currency.lower()}-futures.txt", f"{sql}\n{lines}{total}\n")
        trial.equal(f"minutes of each future of {currency}", held, expected)
    stage.run("deribit-lake", "load", "--dataset", "futures_ohlcv", DERIBIT_LAKE_DSN=stage.dsn)
    rows = stage.lake_rows("SELECT count(*) AS n FROM futures_ohlcv")[0]["n"]
    trial.equal("rows in the database", stage.count("SELECT count(*) FROM futures_ohlcv"), rows)


def lives(market: Market, currency: str, span: tuple[str, str]) -> dict[str, int]:
    """Return how many minutes with a candle each future had in a span, none without any."""
    bounds = [milliseconds(day) for day in span]
    names = [one.name for one in FUTURES if one.name.startswith(f"{currency}-")]
    counts = {name: len(market.minutes(name, *bounds)) for name in sorted(names)}
    return {name: count for name, count in counts.items() if count}


@smoke("SMK-010", tasks=("T-013",), criteria=("AC-008",))
def basis_is_future_less_perpetual(trial: Trial) -> None:
    """The basis of every minute is what plain SQL makes of the candles, in lake and database."""
    stage = trial.stage
    span = ("--start", stage.scale.futures[0], "--end", stage.scale.futures[1])
    for recipe in ("backfill_futures", "backfill_perpetuals"):
        stage.run("just", recipe, *span, host=stage.exchange.url)
    stage.run("deribit-lake", "backfill", "index", *span, host=stage.exchange.url)
    stage.run("just", "basis", "--currency", "BTC,ETH")
    in_lake = BASIS.format(basis="futures_basis")
    found = stage.lake_rows(in_lake)[0]
    daily = stage.run("deribit-lake", "query", DAILY, "--format", "csv")
    trial.write("T-013-basis-daily.csv", daily)
    held = stage.lake_rows("SELECT count(*) AS n FROM futures_basis")[0]["n"]
    candles = stage.lake_rows("SELECT count(*) AS n FROM futures_ohlcv")[0]["n"]
    trial.equal("rows, of the futures' candles", held, candles)
    trial.holds("nine in ten have a basis", found["n"] > 0.9 * held, found)
    trial.holds("off by nothing", found["off"] < NEAR and found["rate_off"] < NEAR, found)
    for dataset in ("perpetuals_ohlcv", "futures_ohlcv", "futures_basis"):
        stage.run("deribit-lake", "load", "--dataset", dataset, DERIBIT_LAKE_DSN=stage.dsn)
    loaded = stage.count("SELECT count(*) FROM reference.futures_basis")
    trial.equal("rows in the database", loaded, held)
    in_database = BASIS.format(basis="reference.futures_basis")
    told = stage.psql("-At", "-c", in_database).strip()
    text = f"{in_lake}\n{json.dumps(found)}\n\n{in_database}\n{told}\n"
    trial.write("T-013-basis-check.txt", text)
    count, *off = told.split("|")
    trial.equal("rows with a basis there", int(count), found["n"])
    trial.holds("off by nothing there", max(map(float, off)) < NEAR, told)
