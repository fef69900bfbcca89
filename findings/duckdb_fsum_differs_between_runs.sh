#!/usr/bin/env bash
# DuckDB 2.0.0 (Python wheel), Linux, four threads: fsum answers the same query differently, too.
#
# Guessed: sum of doubles depends on the order threads add them in, and fsum, which is offered for
# exactness (Kahan's sum), gives one answer. Seen: both answer one question over two million volumes
# of a table that does not change with several different last digits, run after run. A sum in a
# stated order is one answer, and so is a sum of decimals, which is exact where all values have few
# decimals, as volumes have.
#
# Output seen:
#   sum(volume): several answers in 40 runs
#   fsum(volume): several answers in 40 runs
#   sum(volume ORDER BY minute): one answer in 40 runs
#   sum(volume::DECIMAL(38, 8)): one answer in 40 runs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0

cat > "$folder/ask.py" <<'PYTHON'
import duckdb

connection = duckdb.connect(config={"threads": 4})
connection.execute(
    "CREATE TABLE candles AS SELECT minute, (hash(minute) % 100000000000) / 1e8 AS volume "
    "FROM range(2000000) AS t(minute)"
)
for total in (
    "sum(volume)",
    "fsum(volume)",
    "sum(volume ORDER BY minute)",
    "sum(volume::DECIMAL(38, 8))",
):
    sql = f"SELECT {total} FROM candles GROUP BY minute // 1000000 ORDER BY minute // 1000000"
    answers = {tuple(connection.execute(sql).fetchall()) for _ in range(40)}
    print(f"{total}: {'one answer' if len(answers) == 1 else 'several answers'} in 40 runs")
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
sum(volume): several answers in 40 runs
fsum(volume): several answers in 40 runs
sum(volume ORDER BY minute): one answer in 40 runs
sum(volume::DECIMAL(38, 8)): one answer in 40 runs
EXPECTED
