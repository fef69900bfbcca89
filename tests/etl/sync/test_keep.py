"""What a section [keep] amounts to, before anybody is asked."""

import datetime as dt
from pathlib import Path

import pytest

from etl.config import SECRETS, Keep, KeepOwn, Settings, load_settings
from etl.errors import UsageError
from etl.sync.keep import keeping_of
from etl.sync.starting import FIRST, HEAD, settings_of, settings_text
from etl.when import parse_moment

NOW_MS = parse_moment("2025-10-18", "now")


def kept(**said):
    return keeping_of(Keep(**said), NOW_MS)


def named(keeping):
    return [one.name for one in keeping.datasets]


def of(keeping, name):
    return next(one for one in keeping.fetched if one.dataset.name == name)


def test_what_nobody_said_is_both_perpetuals_their_funding_and_the_index():
    keeping = kept()

    assert named(keeping) == ["perpetuals_ohlcv", "funding_rates", "index_prices"]
    assert list(keeping.fetched[0].choice.names) == ["BTC-PERPETUAL", "ETH-PERPETUAL"]
    assert keeping.fetched[0].start_ms is None
    assert (keeping.rates_ms, keeping.has_lists) == (None, False)


def test_what_is_computed_is_kept_with_all_it_is_made_from_and_all_that_follows():
    keeping = kept(datasets=["perpetuals"], computed=["basis"])

    assert named(keeping) == [
        "perpetuals_ohlcv", "futures_ohlcv", "funding_rates", "index_prices",
        "futures_basis", "futures_curve",
    ]  # fmt: skip


def test_all_that_is_computed_is_what_the_datasets_kept_suffice_for():
    without = kept(datasets=["perpetuals", "funding"], computed="all")
    whole = kept(datasets=["perpetuals", "funding", "futures", "options"], computed="all")

    assert [one.name for one in without.computed] == ["index_prices"]
    assert {"futures_basis", "option_iv", "options_greeks", "vol_grid"} <= {
        one.name for one in whole.computed
    }


@pytest.mark.parametrize(
    ("said", "since"),
    [
        ({}, None),
        ({"rates": True}, "2016-01-01"),
        ({"datasets": ["options"], "computed": ["greeks"]}, "2016-01-01"),
        ({"datasets": ["options"], "computed": ["greeks"], "rates": False}, None),
        ({"datasets": ["rates"], "since": "2024-06-15"}, "2024-06-01"),
        ({"datasets": ["rates"], "rates": {"since": "2020-01-01"}}, "2020-01-01"),
    ],
)
def test_yields_of_bills_are_kept_where_greeks_are_or_somebody_says_so(said, since):
    said = dict(said)
    table = said.pop("rates") if isinstance(said.get("rates"), dict) else None
    keeping = kept(**said, **({"treasury_bills": table} if table else {}))

    assert keeping.rates_ms == (since and parse_moment(since, "since"))


def test_a_table_named_after_a_dataset_holds_for_it_alone():
    keeping = kept(
        datasets=["perpetuals", "funding", "options"],
        since="2024-01-01",
        options={"since": "2024-06-01", "currencies": ["USDC"], "expiries": ["2024-12-27"]},
        funding_rates={"instruments": ["SOL_USDC-PERPETUAL"]},
    )

    options, funding = of(keeping, "option_trades"), of(keeping, "funding_rates")
    assert options.start_ms == parse_moment("2024-06-01", "since")
    assert list(options.choice.currencies) == ["USDC"]
    assert options.options.expiries == (dt.date(2024, 12, 27),)
    assert list(funding.choice.names) == ["SOL_USDC-PERPETUAL"]
    assert funding.start_ms == parse_moment("2024-01-01", "since")
    assert "BTC-PERPETUAL" in of(keeping, "perpetuals_ohlcv").choice.names


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"datasets": ["perpetual"]}, "nearest: perpetuals_ohlcv"),
        ({"computed": ["perpetuals"]}, "perpetuals_ohlcv is not computed"),
        ({"datasets": ["index_minutes"]}, "is true of its moment only"),
        ({"option": {"since": "2024-01-01"}}, "no dataset 'option'; nearest: option"),
        ({"options": {"since": "2024-01-01"}}, "option_trades is not kept"),
        ({"index": {"since": "2024-01-01"}}, "is computed; say it of funding_rates"),
        ({"funding": {"expiries": ["2024-01-01"]}}, "funding_rates takes since, instruments"),
        (
            {"funding": {"since": "2024-01-01"}, "funding_rates": {}},
            "has two tables, .keep.funding_rates",
        ),
        ({"datasets": ["options_chart"]}, r"say instruments in \[keep.options_chart\]"),
        ({"since": "2199-01-01"}, "keep.since 2199-01-01 is in the future"),
        ({"funding": {"since": "2199-01-01"}}, "keep.funding_rates.since 2199-01-01 is in the"),
        ({"rates": True, "since": "2199-01-01"}, "in the future"),
    ],
)
def test_what_makes_no_sense_is_one_line(said, words):
    with pytest.raises(UsageError, match=words) as caught:
        kept(**said)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[keep]\ninstrumnts = ['BTC-PERPETUAL']", "keep.instrumnts: .*; nearest: instruments"),
        ("[keep.options]\nsinc = 2024-01-01", "keep.options.sinc: .*; nearest: since"),
        ("[keep]\nsince = 'soon'", "keep.since = 'soon': "),
        ("[keep]\ndatasets = []", r"keep.datasets = \[\]: "),
        ("[keep]\ncurrencies = 'BTC'", "keep.currencies = 'BTC': "),
        ("[keep.futures]\nsettlement = ['year']", "keep.futures.settlement.0 = 'year': "),
        ("[kep]\nsince = 2024-01-01", "kep: .*; nearest: keep"),
        ("[keep]\ncomputed = 'some'", "keep.computed = 'some': Input should be 'all', or .*tuple$"),
        ("keep = 'swordfish'", r"keep = \*\*\*: .*"),
        ("[kep]\nping_url = 'swordfish'", "kep: there is no such setting; nearest: keep$"),
        ("[collect]\ncurency = 1", "collect.curency: .*; nearest: currencies"),
    ],
)
def test_a_word_there_is_none_of_is_answered_with_the_nearest(tmp_path, text, words):
    path = tmp_path / "deribit-lake.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=words) as caught:
        load_settings(path)
    assert "swordfish" not in str(caught.value)


def test_a_file_to_start_with_says_what_holds_anyway(tmp_path):
    path = tmp_path / "deribit-lake.toml"
    path.write_text(settings_text(HEAD, FIRST), encoding="utf-8")

    assert load_settings(path).keep == Keep()
    assert load_settings(path).keep.datasets == ("perpetuals", "funding", "index")


def test_a_file_to_start_with_names_every_setting_but_secrets():
    lines = settings_text(HEAD, FIRST).splitlines()
    said = {line.removeprefix("# ").partition(" = ")[0] for line in lines}

    names = {path.rpartition(".")[2] for path, _ in settings_of(Settings)}
    assert names - said == {path.rpartition(".")[2] for path in SECRETS}
    assert 'datasets = ["perpetuals", "funding", "index"]  # what is held, by name' in lines
    assert any(line.startswith("# since = ") for line in lines)


@pytest.mark.parametrize("number", [0, 1])
def test_what_the_page_shows_can_be_kept(tmp_path, number):
    page = (Path(__file__).parents[3] / "docs" / "sync.md").read_text(encoding="utf-8")
    path = tmp_path / "deribit-lake.toml"
    path.write_text(page.split("```toml\n")[number + 1].split("```")[0], encoding="utf-8")

    said = load_settings(path).keep.model_dump(exclude_unset=True)
    assert len(kept(**said).fetched) == (2, 6)[number]


def test_the_page_tells_of_every_word():
    page = (Path(__file__).parents[3] / "docs" / "sync.md").read_text(encoding="utf-8")

    assert [name for name in Keep.model_fields if f"\n| `{name}` |" not in page] == []
    assert [name for name in KeepOwn.model_fields if f"`{name}`" not in page] == []
