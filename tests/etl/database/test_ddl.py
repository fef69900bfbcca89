import pandera.polars as pa
import pytest

from etl.database.ddl import comment, create_table, roles_sql, schema_sql
from etl.database.tables import table_of, tables
from tests.schema import sql_files
from validators.schemas.instruments import Instruments
from validators.table import Index, TableFacts, declared
from validators.units import COIN, UTC, Moment


class Fees(pa.DataFrameModel):
    """One row per instrument and moment: a dataset nobody has written yet."""

    timestamp: Moment = pa.Field(description="When it was paid", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    fee: float = pa.Field(description="Fee; negative for a rebate", metadata=COIN, nullable=True)

    class Config:
        metadata = declared(
            table=TableFacts(
                name="fees",
                about="Fees",
                schema="public",
                chunk="30 days",
                indexes=(Index("fees_by_time", ("timestamp", "instrument")),),
            )
        )


FEES = """\
CREATE TABLE IF NOT EXISTS public.fees (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    fee double precision,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.fees', by_range('timestamp', INTERVAL '30 days'),
    create_default_indexes => false, if_not_exists => true
);
CREATE INDEX IF NOT EXISTS fees_by_time ON public.fees (timestamp, instrument);
COMMENT ON TABLE public.fees IS 'Fees';
COMMENT ON COLUMN public.fees.timestamp IS 'When it was paid [UTC]';
COMMENT ON COLUMN public.fees.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.fees.fee IS 'Fee [base coin]; negative for a rebate';
"""


@pytest.mark.parametrize(("path", "text"), sql_files().items(), ids=lambda each: str(each)[-10:])
def test_the_sql_files_are_fresh(path, text):
    assert path.read_text(encoding="utf-8") == text, "run `just schema`"


def test_a_hypertable_is_written_with_its_indexes_and_comments():
    assert create_table(Fees) == FEES


def test_a_plain_table_is_no_hypertable():
    assert "create_hypertable" not in create_table(Instruments)


def test_json_stays_json_and_what_an_index_sorts_compares_by_bytes():
    written = create_table(Instruments)

    assert "    record jsonb NOT NULL,\n" in written
    assert '    instrument text COLLATE "C" NOT NULL,\n' in written
    assert "    kind text NOT NULL,\n" in written


@pytest.mark.parametrize(
    ("description", "metadata", "expected"),
    [
        ("Turnover", {"unit": "USD"}, "Turnover [USD]"),
        ("Volume; 0 marks a filler", {"unit": "coin"}, "Volume [coin]; 0 marks a filler"),
        ("Later; or not; who knows", {"unit": "UTC"}, "Later [UTC]; or not; who knows"),
        ("ok, or the reason", None, "ok, or the reason"),
    ],
)
def test_a_unit_stands_behind_the_first_clause(description, metadata, expected):
    assert comment(pa.Column(float, description=description, metadata=metadata)) == expected


def test_the_schema_is_at_the_version_of_the_newest_migration():
    assert "IF found <> 4 THEN" in schema_sql()
    assert "(3, '0003_bars.sql'), (4, '0004_option_volatility.sql')\n" in schema_sql()


def test_the_tables_of_the_schema_are_those_the_loader_knows():
    written = [line.split()[5] for line in schema_sql().splitlines() if "CREATE TABLE" in line]

    assert written == [table.path for table in tables().values()]


def test_a_dataset_registered_later_gets_its_table_and_the_loader_its_rights():
    assert FEES in schema_sql([Fees])
    assert "ON\n    public.fees,\n    reference.load_ledger\nTO" in roles_sql([Fees])


def test_the_loader_does_not_write_the_version():
    assert "reference.schema_version" not in roles_sql()
    assert table_of(Fees).path in schema_sql([Fees])
