import pickle
from dataclasses import replace

import msgspec
import polars as pl
import pytest

from etl.catalog import (
    DATASETS,
    computed,
    fetched,
    find,
    find_computed,
    find_fetched,
    in_resolution,
    mender_of,
    register,
)
from etl.dataset import Computed, columns_of
from etl.errors import UsageError
from etl.proof.grid_proof import GridProof
from lake.span import Span
from validators.resolutions import RESOLUTIONS

FETCHED = {one.name: one for one in fetched()}


def test_every_dataset_stands_after_what_it_is_made_from():
    names = list(DATASETS)

    assert all(
        names.index(each) < names.index(one.name) for one in computed() for each in one.inputs
    )
    assert {"instruments", "perpetuals_ohlcv", "funding_rates", "futures_curve"} < set(names)
    assert {f"futures_ohlcv_{name}" for name in RESOLUTIONS if name != "1"} < set(names)


@pytest.mark.parametrize("one", [*computed()], ids=lambda one: one.name)
def test_a_computed_dataset_can_be_handed_to_another_process(one):
    assert pickle.loads(pickle.dumps(one)).name == one.name  # noqa: S301  (our own, a moment ago)


def test_what_is_made_from_nothing_in_the_list_is_refused():
    lost = replace(find_computed("futures_curve"), name="lost", inputs=("nowhere",))

    with pytest.raises(ValueError, match="lost is made from nowhere"):
        register(lost)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("dvol", "volatility_index"),
        ("universe", "instruments"),
        ("index", "index_prices"),
        ("basis", "futures_basis"),
        ("futures", "futures_ohlcv"),
        ("rates", "treasury_bills"),
        ("bills", "treasury_bills"),
    ],
)
def test_a_short_word_finds_its_dataset(word, name):
    assert find(word).name == name


@pytest.mark.parametrize("is_computed", [True, False])
def test_no_word_means_two_datasets_of_a_kind(is_computed):
    some = [one for one in DATASETS.values() if isinstance(one, Computed) == is_computed]
    words = [word for one in some for word in (one.name, *one.aliases)]

    assert len(words) == len(set(words))
    assert not {one.name for one in some} & {
        word for one in DATASETS.values() if one not in some for word in one.aliases
    }


def test_a_word_of_two_kinds_means_the_one_the_command_treats():
    assert find("dvol").name == "volatility_index"
    assert find_fetched("dvol").name == "volatility_index"
    assert find_computed("dvol").name == "variance_swap"


def test_what_asks_again_for_what_is_missing_is_said_by_the_dataset():
    assert mender_of("treasury_bills") == "`deribit-lake backfill rates`"
    assert mender_of("perpetuals_ohlcv") == "`deribit-lake heal`"


def test_what_a_command_cannot_treat_says_why_and_what_to_run():
    with pytest.raises(UsageError, match="futures_basis is computed, not fetched: run `deribit"):
        find_fetched("futures_basis")
    with pytest.raises(UsageError, match="run `deribit-lake instruments refresh`"):
        find_fetched("instruments")
    with pytest.raises(UsageError, match="funding_rates is not computed; what is: index_prices"):
        find_computed("funding_rates")


@pytest.mark.parametrize("dataset", FETCHED.values(), ids=FETCHED)
def test_a_page_without_rows_keeps_the_columns_of_its_contract(dataset):
    empty = dataset.transform(dataset.empty_page().lazy(), "BTC-PERPETUAL").collect()

    assert [name for name in empty.columns if name != "refused"] == [
        *columns_of(dataset), "attempt",
    ]  # fmt: skip
    assert empty.is_empty()
    assert empty.schema["attempt"] == pl.UInt32


@pytest.mark.parametrize("dataset", FETCHED.values(), ids=FETCHED)
def test_an_empty_result_has_the_shape_that_is_checked(dataset):
    dataset.check(msgspec.json.decode(dataset.empty_body, type=dict[str, msgspec.Raw])["result"])


WITH_WINDOW = {name: one for name, one in FETCHED.items() if isinstance(one.proof, GridProof)}


@pytest.mark.parametrize("dataset", WITH_WINDOW.values(), ids=WITH_WINDOW)
def test_both_readings_of_an_exclusive_start_return_exactly_the_window(dataset):
    step = dataset.proof.grid.step_ms
    params = dataset.params("BTC-PERPETUAL", Span(10 * step, 20 * step), 0)
    start, end = params["start_timestamp"], params["end_timestamp"]

    exclusive = [n for n in range(30) if start < n * step <= end]
    inclusive = [n for n in range(30) if start <= n * step <= end]

    assert exclusive == inclusive == list(range(10, 20))


def test_a_resolution_has_its_own_dataset_and_asks_for_it():
    dataset = in_resolution("perpetuals_ohlcv", "1D")

    assert dataset.name == "perpetuals_ohlcv_1D"
    assert dataset.params("X", Span(0, 1), 0)["resolution"] == "1D"


@pytest.mark.parametrize("resolution", ["240", "", "1d", "2"])
def test_a_resolution_the_exchange_has_not_is_refused_naming_those_it_has(resolution):
    with pytest.raises(
        UsageError, match=f"no resolution '{resolution}' of perpetuals_ohlcv; there are 1, 3, 5"
    ):
        in_resolution("perpetuals_ohlcv", resolution)


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("candels", "index_prices"),
        ("futures_basi", "futures_basis"),
        ("qqq", "perpetuals_ohlcv, perp"),
    ],
)
def test_an_unknown_dataset_is_refused_naming_the_nearest(word, nearest):
    with pytest.raises(UsageError, match=f"no dataset {word!r}; nearest: .*{nearest}"):
        find(word)


@pytest.mark.parametrize("dataset", list(computed()), ids=lambda one: one.name)
def test_a_computed_dataset_can_be_handed_to_a_worker(dataset):
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301  (our own)
