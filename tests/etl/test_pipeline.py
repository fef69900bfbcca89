"""What a computation says where there is nothing to compute from."""

import pytest

from etl.compute.option_iv import OPTION_IV
from etl.compute.run import Ask
from etl.compute.variance_swap import VARIANCE_SWAP
from etl.errors import UsageError
from etl.pipeline import compute_all
from etl.progress import LogProgress
from lake.paths import open_lake


@pytest.mark.parametrize(
    ("dataset", "command"),
    [(OPTION_IV, "backfill option_trades"), (VARIANCE_SWAP, "backfill option_trades")],
)
def test_where_nothing_is_held_the_command_that_makes_it_is_named(tmp_path, dataset, command):
    lake = open_lake(tmp_path / "lake", create=True)

    with pytest.raises(UsageError, match=f"run `deribit-lake {command}`$"):
        compute_all(lake, [dataset], LogProgress(), Ask(by_name=True))
