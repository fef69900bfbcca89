#!/usr/bin/env bash
# DuckDB 2.0.0, fsspec 2026.9.0: what one question asks of a file system that was registered.
#
# Guessed: a question over one Parquet file opens it once, and with parquet_metadata_cache the second
# question does not open it again. Seen: each question opens it three times, and asks for its size
# seven times and its age three times, whether it is the first or not, with that cache or without
# (and once more each where it is asked by `connection.sql`, which binds it twice). On a disk nobody
# notices; over object storage each of those is a request unless the file system answers from what it
# knows: a day of a year of minutes, two requests of data, became eighteen through ready wrappers.
#
# Output seen:
#   first: exists 1, glob 1, info 7, modified 3, open 3
#   again: exists 1, glob 1, info 7, modified 3, open 3
#   again, with the cache: exists 1, glob 1, info 7, modified 3, open 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    duckdb==2.0.0 fsspec==2026.9.0 pyarrow==26.0.1

cat > "$folder/ask.py" <<'PYTHON'
import collections
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

MINUTES = 525_600
asked = collections.Counter()


class Counted(LocalFileSystem):
    protocol = "counted"

    def glob(self, path, **options):
        asked["glob"] += 1
        return [f"counted://{one}" for one in super().glob(plain(path), **options)]


def plain(path):
    return path.removeprefix("counted://")


def counted(name):
    real = getattr(LocalFileSystem, name)

    def ask(self, path, *rest, **options):
        asked[name] += 1
        return real(self, plain(path), *rest, **options)

    return ask


for name in ("open", "info", "exists", "modified"):
    setattr(Counted, name, counted(name))

path = f"{sys.argv[1]}/year.parquet"
columns = {"minute": range(MINUTES), "close": map(float, range(MINUTES))}
table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
pq.write_table(table, path, row_group_size=7_200)
day = f"SELECT max(close) FROM 'counted://{path}' WHERE minute BETWEEN 100000 AND 101439"
connection = duckdb.connect()
connection.register_filesystem(Counted())
for turn in ("first", "again", "again, with the cache"):
    if "cache" in turn:
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute(day).fetchall()
    asked.clear()
    connection.execute(day).fetchall()
    print(f"{turn}: {', '.join(f'{what} {asked[what]}' for what in sorted(asked))}")
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" "$folder" 2> "$folder/errors" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
first: exists 1, glob 1, info 7, modified 3, open 3
again: exists 1, glob 1, info 7, modified 3, open 3
again, with the cache: exists 1, glob 1, info 7, modified 3, open 3
EXPECTED
