"""Phase 1, perpetuals: the whole history, fetched, loaded, run again, checked."""

import csv
import io
import json
import subprocess
import time
from pathlib import Path

from tests.acceptance.command import digests
from tests.acceptance.smoke import Trial, smoke
from tests.deploy.machine import until
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import NOW, RunningExchange, running

TABLE = "perpetuals_ohlcv"
MONTH = ("2025-09-18", "2025-10-17")  # what may still be revised is asked for again
WITHIN_S = 60.0
KILLED = -9
"""What Python says of a process that signal 9 ended."""
LEAST_FAULTS = 5
GAPS = f"""\
SELECT count(*) FROM (
    SELECT timestamp - lag(timestamp) OVER (PARTITION BY instrument ORDER BY timestamp) AS gap
    FROM {TABLE}
) AS neighbours WHERE gap > INTERVAL '6 minutes'"""
"""The backlog's query, per instrument; six minutes from row to row are five without one."""
SANITY = f"SELECT count(*) FROM {TABLE} WHERE high < low OR close < low OR close > high"


@smoke("SMK-004", tasks=("T-006",), criteria=("AC-004", "AC-006"))
def bitcoin_is_whole(trial: Trial) -> None:
    """Every minute of BTC-PERPETUAL is fetched, loaded, and counted in the database."""
    backfilled(trial, "BTC-PERPETUAL", trial.stage.scale.btc, "T-006-btc-backfill.txt")


@smoke("SMK-005", tasks=("T-007",), criteria=("AC-004", "AC-006"))
def ether_is_whole(trial: Trial) -> None:
    """Every minute of ETH-PERPETUAL is fetched, loaded, and counted in the database."""
    backfilled(trial, "ETH-PERPETUAL", trial.stage.scale.eth, "T-007-eth-backfill.txt")


def backfilled(trial: Trial, name: str, span: tuple[str, str], evidence: str) -> None:
    """Run the backlog's command for a perpetual; hold what came against the market itself."""
    stage, began = trial.stage, time.monotonic()
    words = ("--instruments", name, "--start", span[0], "--end", span[1], "--resolution", "1")
    told = fetched(trial, *words)
    loaded(trial, name)
    sql = f"SELECT COUNT(*) FROM {TABLE} WHERE instrument = '{name}';"
    edges = f"SELECT min(timestamp), max(timestamp) FROM {TABLE} WHERE instrument = '{name}';"
    counted = stage.count(sql)
    text = (
        f"$ just backfill_perpetuals {' '.join(words)}\n{told}\n{sql}\n{counted}\n\n"
        f"{edges}\n{stage.psql('-At', '-c', edges)}\n{time.monotonic() - began:.0f} s\n"
    )
    trial.write(evidence, text)
    market = Market(7, milliseconds(NOW))
    minutes = market.minutes(name, *map(milliseconds, span))
    trial.equal("rows in the database, of the market's minutes", counted, len(minutes))
    held = stage.lake_rows(f"SELECT count(*) AS n FROM {TABLE} WHERE instrument = '{name}'")
    trial.equal("rows in the lake", held, [{"n": len(minutes)}])


def loaded(trial: Trial, names: str) -> None:
    """Load candles of perpetuals into the database."""
    words = ("load", "--dataset", TABLE, "--instruments", names)
    trial.stage.run("deribit-lake", *words, DERIBIT_LAKE_DSN=trial.stage.dsn)


def fetched(trial: Trial, *words: str) -> str:
    """Return what the backlog's command says, which ends with 0 where the verdict is COMPLETE."""
    return trial.stage.run("just", "backfill_perpetuals", *words, host=trial.stage.exchange.url)


def both(trial: Trial) -> str:
    """Fetch and load both perpetuals over the scale's spans; return what the fetching says."""
    told, scale = "", trial.stage.scale
    for name, span in (("BTC-PERPETUAL", scale.btc), ("ETH-PERPETUAL", scale.eth)):
        told += fetched(trial, "--instruments", name, "--start", span[0], "--end", span[1])
        loaded(trial, name)
    return told


@smoke("SMK-006", tasks=("T-005",), criteria=("AC-004", "AC-005", "AC-006"))
def backfill_can_be_repeated(trial: Trial) -> None:
    """A second run changes nothing; a killed one at a faulty exchange ends as a healthy one."""
    stage = trial.stage
    both(trial)
    again = both(trial)
    counts = json.loads(stage.run("deribit-lake", "load", "--dataset", TABLE, "--json"))
    changed = {name: counts[name] for name in ("inserted", "updated", "deleted")}
    trial.equal("rows loaded again", changed, {"inserted": 0, "updated": 0, "deleted": 0})

    healthy = month_of(trial, "healthy", "none")
    faulty = month_of(trial, "faulty", "all")
    trial.equal("the month in spite of all faults and a kill -9", faulty, healthy)
    trial.holds("there is one", len(healthy) >= len(("BTC", "ETH")), sorted(healthy))
    said = {"killed at a faulty exchange, then run again": faulty, "healthy": healthy}
    text = f"second run:\n{again}\n{json.dumps(changed)}\n{json.dumps(said, indent=1)}\n"
    trial.write("T-005-backfill-perpetuals.txt", text)


def month_of(trial: Trial, name: str, faults: str) -> dict[str, str]:
    """Return the digests of a month; where there are faults, the first run is killed.

    Where there are none, a second run has to ask for no page and to change no byte.
    """
    stage = trial.stage
    settings = {
        "DERIBIT_LAKE_ROOT": str(stage.folder / name),
        "DERIBIT_LAKE_PROBE_SECONDS": "0.1",
    }
    words = ("deribit-lake", "backfill", "perpetuals", "--start", MONTH[0], "--end", MONTH[1])
    with running(limits=False, faults=faults, latency_ms=20) as exchange:
        told = settings | {"host": exchange.url}
        if faults == "none":
            stage.run(*words, **told)
            before, pages = digests(stage.folder / name), pages_of(exchange)
            stage.run(*words, **told)
            trial.equal("pages a second run asks for", pages_of(exchange) - pages, 0)
            trial.equal("bytes after it", digests(stage.folder / name), before)
        else:
            code = kill_nine(stage.start(*words, **told), stage.folder / name / "raw")
            trial.equal("killed with the first answers there, it ends with", code, KILLED)
            stage.outcome(*words, **told)  # what faults left unsettled, `heal` asks for again
            stage.run("deribit-lake", "heal", **told)
            met = sum(exchange.stats()["faults"].values())
            trial.holds("faults were met", met >= LEAST_FAULTS, met)
    return digests(stage.folder / name)


def pages_of(exchange: RunningExchange) -> int:
    """Return how many pages of candles were asked for."""
    return int(exchange.stats()["by_method"]["public/get_tradingview_chart_data"])


def kill_nine(process: subprocess.Popen[bytes], folder: Path) -> int:
    """End a command as a power cut does, once there is a file in a folder; return its exit code."""
    until(lambda: process.poll() is not None or any(folder.rglob("*.parquet")), WITHIN_S)
    process.kill()
    return process.wait()


@smoke("SMK-007", tasks=("T-008",), criteria=("AC-004", "AC-005"))
def quality_is_known(trial: Trial) -> None:
    """Every gap is documented and no candle is impossible, by the product and by plain SQL."""
    stage = trial.stage
    both(trial)
    out = {where: stage.folder / "reports" / where for where in ("lake", "db")}
    for where, folder in out.items():
        words = ("--table", TABLE, "--from", where, "--out", str(folder))
        stage.run("just", "data_quality_checks", *words, DERIBIT_LAKE_DSN=stage.dsn)
    for name, file in (("gap", "gap_report.csv"), ("sanity", "sanity_report.csv")):
        found = (out["lake"] / file).read_bytes()
        trial.write(f"T-008-{name}-report.csv", found)
        trial.equal(f"{file} of the database, too", (out["db"] / file).read_bytes(), found)
    gaps = rows(out["lake"] / "gap_report.csv")
    trial.equal("gaps nobody explains", [one for one in gaps if one["status"] != "documented"], [])
    trial.equal("gaps by the backlog's SQL", stage.count(GAPS), len(gaps))
    wrong = [one for one in rows(out["lake"] / "sanity_report.csv") if one["status"] != "review"]
    trial.equal("impossible candles", wrong, [])
    trial.equal("impossible candles by the backlog's SQL", stage.count(SANITY), 0)
    candles = stage.count(f"SELECT count(*) FROM {TABLE}")
    trial.holds("there were candles", candles > 0, candles)


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a report."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
