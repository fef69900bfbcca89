import pytest

from lake.errors import CorruptFileError
from lake.operations import Outcome, read_outcome, write_outcome
from lake.paths import open_lake

GOOD = Outcome(
    operation="backup", started_ms=1, finished_ms=2, exit_code=0, summary={"bytes": 3, "rows": [1]}
)


def test_the_last_outcome_of_an_operation_is_kept(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    assert read_outcome(lake, "backup") is None
    write_outcome(lake, Outcome(operation="backup", started_ms=0, finished_ms=1, exit_code=1))
    write_outcome(lake, GOOD)
    assert read_outcome(lake, "backup") == GOOD
    assert read_outcome(lake, "drill") is None


@pytest.mark.parametrize("text", [b"", b"{}", b'{"operation": 1}', b"\xff"])
def test_what_is_no_outcome_is_named(tmp_path, text):
    lake = open_lake(tmp_path / "lake", create=True)
    write_outcome(lake, GOOD)
    (lake.root / "operations/backup.json").write_bytes(text)
    with pytest.raises(CorruptFileError, match=r"backup\.json is corrupt"):
        read_outcome(lake, "backup")
