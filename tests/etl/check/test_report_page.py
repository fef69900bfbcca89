"""The page of a whole lake: what it tells is what the lake and `status` say, and it is alone."""

import re
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import get_args

import polars as pl
import pyarrow as pa
import pytest

from etl.catalog import DATASETS, maker_of
from etl.check.report.coverage import LISTED, SEEN
from etl.check.report.database import Behind
from etl.check.report.gaps import EXPLAINED
from etl.check.report.surface import COLUMNS
from etl.check.status import overall, statuses
from lake.arrow import arrow
from lake.errors import CorruptFileError
from lake.ledger import Gap, Reason, Record, write_record
from lake.operations import Outcome, write_outcome
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.span import Span
from lake.write import publish_table
from tests.etl.check.report_pages import NOW, page, sections, tables
from tests.etl.check.test_status import lake_with, record
from tests.etl.staged import MINUTE

ALWAYS = ["coverage", "gaps", "ages", "operations", "sizes"]
SCRIPT = "<script>document.title='gone'</script>"


def holding(root, dataset, *parts, period="2024"):
    """A lake with a year of some parts of a dataset, whole, by its ledger."""
    lake = open_lake(root, create=True)
    for part in parts:
        one = Partition(dataset, part, period)
        write_record(lake, one, record(0, 9))
        publish_table(pa.table({"close": [1.0]}), lake.clean(one))
    return lake


def test_an_empty_lake_says_what_would_fill_it(tmp_path):
    told = page(Lake(tmp_path / "nothing"))

    assert sections(told) == [*ALWAYS, "absent"]
    assert '<h1>The lake is <span class="bad">UNKNOWN</span></h1>' in told
    commands = {row["dataset"]: row["command"] for row in tables(told)["What is not held"]}
    assert commands["vol_slices"] == "deribit-lake compute vol_slices"
    assert commands.keys() == {name for name in DATASETS if not re.search(r"_(\d+|1D)$", name)}
    assert all(command == maker_of(DATASETS[one]).strip("`") for one, command in commands.items())


def test_coverage_says_what_status_says(tmp_path):
    lake = lake_with(tmp_path, record(0, 9, rows=9), record(9, 14, (10, 11, "no_answer"), rows=4))
    found = statuses(lake)

    told = tables(page(lake))

    (dataset,) = told["Datasets"]
    assert dataset["dataset"] == "perpetuals_ohlcv"
    assert dataset["complete"] == "0 of 1 part"
    assert dataset["rows"] == "13" == f"{sum(one.rows for one in found)}"
    assert dataset["verdict"] == overall(found) == "INCOMPLETE"
    (part,) = told["Parts of perpetuals_ohlcv that are not complete"]
    assert part["part"] == found[0].instrument
    assert part["missing"] == "1 no answer"
    assert (part["first"], part["last"]) == ("1970-01-01", "1970-01-01")


def test_the_worst_datasets_and_parts_come_first_and_what_is_whole_is_folded(tmp_path):
    lake = holding(tmp_path, "perpetuals_ohlcv", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL")
    holding(tmp_path, "delivery_prices", "btc_usd")
    write_record(lake, Partition("funding_rates", "BTC-PERPETUAL", "2024"), Record(rows=1))
    lake.clean(Partition("perpetuals_ohlcv", "SOL_USDC-PERPETUAL", "2024")).unlink()
    short = record(0, 60, (10, 50, "not_asked"), rows=0)
    write_record(lake, Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024"), short)

    told = page(lake)

    found = tables(told)
    names = [(row["dataset"], row["verdict"]) for row in found["Datasets"]]
    assert names[0] == ("funding_rates", "UNKNOWN")
    assert names[-1] == ("delivery_prices", "COMPLETE")
    whole = re.search(r"<details><summary><b>delivery_prices</b>: ([^<]+)</summary>", told)
    assert whole is not None
    assert whole[1] == "1 part, 1 rows; 1 COMPLETE"
    listed = found["Parts of perpetuals_ohlcv that are not complete"]
    assert [(row["part"], row["verdict"]) for row in listed] == [
        ("SOL_USDC-PERPETUAL", "UNKNOWN"), ("BTC-PERPETUAL", "INCOMPLETE"),
    ]  # fmt: skip


def test_of_thousands_of_parts_the_worst_are_listed_and_the_rest_grouped(tmp_path):
    lake = open_lake(tmp_path, create=True)
    for number in range(400):
        day = f"{1 + number % 28}JAN{20 + number // 200}"
        one = Partition("futures_ohlcv", f"BTC-{day}-{number}"[:24], "2024")
        gap = (Gap(5, 5 + (number + 1) * MINUTE, "not_asked"),) if number < 300 else ()
        write_record(lake, one, Record(wanted=(Span(0, 60 * MINUTE),), gaps=gap))

    told = page(lake)

    found = tables(told)
    seen = found["Parts of futures_ohlcv that are not complete"]
    more = found["Other parts of futures_ohlcv"]
    grouped = found["Other parts of futures_ohlcv, by family"]
    assert (len(seen), len(more)) == (SEEN, LISTED - SEEN)
    assert sum(int(row["parts"]) for row in grouped) + LISTED == len(statuses(lake))
    rows = [int(re.sub(r"\D", "", row["missing"])) for row in [*seen, *more]]
    assert rows == sorted(rows, reverse=True)
    assert len(told) < 100_000


def test_every_reason_is_explained():
    assert set(EXPLAINED) == set(get_args(Reason))
    assert all(words.endswith(".") for words in EXPLAINED.values())


def test_gaps_are_counted_by_reason_with_the_open_ones_first(tmp_path):
    first = record(0, 20, (3, 5, "outage"), (7, 8, "no_answer"))
    lake = lake_with(tmp_path, first, record(20, 30, (20, 29, "absent")))

    found = tables(page(lake))

    told = [(row["reason"], row["rows"], row["state"]) for row in found["Reasons of gaps"]]
    assert told == [
        ("no answer", "1", "open"),
        ("absent", "9", "settled"),
        ("outage", "2", "settled"),
    ]
    (longest,) = found["Open gaps"]
    assert (longest["part"], longest["length"]) == ("BTC-PERPETUAL", "60 s")
    assert [row["length"] for row in found["Longest gaps, open ones first"]] == ["9 min", "2 min"]


def test_what_was_never_to_be_had_is_none_of_the_longest_gaps(tmp_path):
    first = record(0, 90, (0, 50, "before_listing"), (60, 63, "outage"), (80, 90, "in_progress"))

    found = tables(page(lake_with(tmp_path, first)))

    assert [row["reason"] for row in found["Longest gaps, open ones first"]] == ["outage"]
    assert "Open gaps" not in found


def test_the_lead_of_gaps_counts_what_is_still_to_be_had(tmp_path):
    lake = lake_with(tmp_path / "a", record(0, 20, (3, 5, "outage"), (7, 10, "no_answer")))
    settled = lake_with(tmp_path / "b", record(0, 20, (3, 5, "outage")))

    assert "3 rows are still to be had" in page(lake)
    assert "Every gap is settled" in page(settled)
    assert "No row that was asked for is missing." in page(holding(tmp_path / "c", "x", "y"))


@pytest.mark.parametrize("part", [SCRIPT, "<b>&\"'", "a\" onload='x"])
def test_names_of_a_lake_are_text_wherever_they_stand(tmp_path, part):
    name = part.replace("/", "∕")  # noqa: RUF001  (a folder has no slash in its name)
    lake = open_lake(tmp_path, create=True)
    gap = Gap(0, 5 * MINUTE, "no_answer", source=SCRIPT, of=SCRIPT)
    one = Partition(name, name, "2024")
    write_record(lake, one, Record(wanted=(Span(0, MINUTE),), rows=5, last_ms=NOW))
    publish_table(pa.table({"x": [1]}), lake.clean(one))
    write_record(lake, Partition("perpetuals_ohlcv", name, "2024"), Record(gaps=(gap,)))
    summary = {SCRIPT: SCRIPT, "inside": {SCRIPT: [SCRIPT]}}
    wrong = Outcome(operation="sync", started_ms=0, finished_ms=NOW, exit_code=1, error=SCRIPT,
                    summary=summary)  # fmt: skip
    write_outcome(lake, wrong)

    told = page(lake, behind=Behind(error=SCRIPT))

    assert "<script" not in told
    assert "onload='x\"" not in told.replace("&quot;", "")
    assert name in {row["dataset"] for row in tables(told)["Datasets"]}
    assert SCRIPT in {row["part"] for row in tables(told)["Open gaps"]}


def test_the_page_allows_nothing_but_its_own_style(tmp_path):
    told = page(holding(tmp_path, "perpetuals_ohlcv", "BTC-PERPETUAL"))

    (style,) = re.findall(r"<style>(.*?)</style>", told, flags=re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', told)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert told.index("Content-Security-Policy") < told.index("<style>")
    assert re.findall(r"""\bstyle=|<script|\bsrc=|href="[^#]|url\(|@import|https?:""", told) == []


def test_links_lead_to_what_is_there(tmp_path):
    told = page(holding(tmp_path, "perpetuals_ohlcv", "BTC-PERPETUAL"))

    links = set(re.findall(r'href="#([^"]+)"', told))
    assert links <= set(re.findall(r' id="([^"]+)"', told))
    assert {*ALWAYS, "absent", "coverage-perpetuals_ohlcv"} == links


def test_a_file_that_cannot_be_read_costs_its_own_section_only(tmp_path):
    lake = holding(tmp_path, "perpetuals_ohlcv", "BTC-PERPETUAL")
    path = lake.derived(Partition("vol_slices", "BTC", "2024-01"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no parquet")

    told = page(lake)

    assert '<span class="bad">not shown</span>' in told
    assert str(path) in told
    assert sections(told) == [*ALWAYS, "surface", "absent"]


def test_columns_of_other_types_cost_their_own_section_only(tmp_path):
    lake = holding(tmp_path, "perpetuals_ohlcv", "BTC-PERPETUAL")
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    odd = pl.DataFrame({"timestamp": [moment], **{name: ["?"] for name in COLUMNS}})
    publish_table(arrow(odd), lake.derived(Partition("vol_slices", "BTC", "2024-01")))

    told = page(lake)

    assert "surface" in sections(told)
    assert "column expiry is String, expected Datetime" in told


def test_a_ledger_that_cannot_be_read_is_an_error(tmp_path):
    lake = holding(tmp_path, "perpetuals_ohlcv", "BTC-PERPETUAL")
    lake.ledger(Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")).write_bytes(b"{")

    with pytest.raises(CorruptFileError, match=r"2024\.json"):
        page(lake)
