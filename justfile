# `uv run just RECIPE` works with nothing installed but uv (or with it in .tools, as the README puts
# it there); so does `just RECIPE` where just is.
# Options go through to `deribit-lake` as they are: just backfill-perp --start 2024-01-01 --json
# Another lake or exchange: DERIBIT_LAKE_ROOT=… DERIBIT_LAKE_HOST=… just status

set positional-arguments

own_uv := justfile_directory() / ".tools/bin/uv"
uv := if path_exists(own_uv) == "true" { quote(own_uv) } else { "uv" }
in_env := if env("VIRTUAL_ENV", "") == "" { uv + " run" } else { "" }
lake := in_env + " deribit-lake"
python := in_env + " python"

[private]
default:
    @{{ just_executable() }} --justfile {{ quote(justfile()) }} --list --unsorted

# Simulated exchange, both perpetuals, quality, queries, a report: all under ./demo
[group('start here')]
[no-exit-message]
demo days="90":
    @{{ python }} -m tests.demo "$@"

# Simulated Deribit on a port: just exchange --port 8080 --faults all
[group('start here')]
[no-exit-message]
exchange *options:
    @{{ python }} -m tests.exchange "$@"

# A settings file to start with; nothing is asked
[group('start here')]
[no-exit-message]
init *options:
    @{{ lake }} init "$@"

# All that the settings keep, brought up to date, computed, loaded, verified: just sync --dry-run
[group('start here')]
[no-exit-message]
sync *options:
    @{{ lake }} sync "$@"

# Candles: just backfill-perp --instruments BTC-PERPETUAL --start 2024-01-01
[group('lake')]
[no-exit-message]
backfill-perp *options:
    @{{ lake }} backfill perpetuals "$@"

# Candles of dated futures, expired ones too: just backfill-futures --currency BTC --start 2024-01-01
[group('lake')]
[no-exit-message]
backfill-futures *options:
    @{{ lake }} backfill futures "$@"

# Trades of options, living and expired, and their candles: just backfill-options --start 2024-06-01
[group('lake')]
[no-exit-message]
backfill-options *options:
    @{{ lake }} backfill options "$@"

# Index prices, delivery prices, the volatility index: just backfill-reference --start 2024-01-01
[group('lake')]
[no-exit-message]
backfill-reference *options:
    @{{ lake }} backfill index "$@"
    @{{ lake }} backfill deliveries "$@"
    @{{ lake }} backfill dvol "$@"

# Basis of dated futures and its term structure, from what the lake holds
[group('lake')]
[no-exit-message]
basis *options:
    @{{ lake }} compute basis "$@"

# Implied volatility of every option trade, with the forwards it leans on
[group('lake')]
[no-exit-message]
iv *options:
    @{{ lake }} compute iv "$@"

# Volatility surfaces of each hour and snapshot, on grids too: just surface --currency BTC
[group('lake')]
[no-exit-message]
surface *options:
    @{{ lake }} compute surface "$@"

# All that is computed, or some of it: just compute futures_basis --start 2024-01-01
[group('lake')]
[no-exit-message]
compute *options:
    @{{ lake }} compute "$@"

# Every instrument ever listed, as it was
[group('lake')]
[no-exit-message]
instruments *options:
    @{{ lake }} instruments refresh "$@"

# Greeks of every minute an option was traded in: just greeks --currency BTC
[group('lake')]
[no-exit-message]
greeks *options:
    @{{ lake }} compute greeks "$@"

# What the exchange sends, as it comes, until stopped
[group('lake')]
[no-exit-message]
collect *options:
    @{{ lake }} collect "$@"

# The chain of options as it is quoted now: just snapshot --currency BTC,ETH --tickers
[group('lake')]
[no-exit-message]
snapshot *options:
    @{{ lake }} snapshot options "$@"

# Yields of US Treasury bills, a curve a day: just rates --start 2019-01-01
[group('lake')]
[no-exit-message]
rates *options:
    @{{ lake }} backfill rates "$@"

# Hourly funding rates
[group('lake')]
[no-exit-message]
backfill-funding *options:
    @{{ lake }} backfill funding "$@"

# What is held, what is missing and why, the verdict
[group('lake')]
[no-exit-message]
status *options:
    @{{ lake }} status "$@"

# Every file read and held against the ledger
[group('lake')]
[no-exit-message]
verify *options:
    @{{ lake }} verify "$@"

# Everything but raw built anew, offline, on all cores
[group('lake')]
[no-exit-message]
replay *options:
    @{{ lake }} replay "$@"

# Gaps, impossible candles, outliers, silences; reports as CSV
[group('lake')]
[no-exit-message]
quality *options:
    @{{ lake }} quality "$@"

# SQL over the lake: just query "SELECT count(*) FROM perpetuals_ohlcv" --format csv
[group('lake')]
[no-exit-message]
query sql *options:
    @{{ lake }} query "$@"

# Our Greeks of the tickers held against Deribit's own: just validate-greeks --days 30
[group('lake')]
[no-exit-message]
validate-greeks *options:
    @{{ lake }} validate-greeks "$@"

# A volatility surface as one HTML file: just plot surface --currency BTC --at 2025-10-16T12:00
[group('lake')]
[no-exit-message]
plot *options:
    @{{ lake }} plot "$@"

# All an installation needs, looked at: what is wrong, and what to do about it
[group('lake')]
[no-exit-message]
doctor *options:
    @{{ lake }} doctor "$@"

# The whole lake on one page, offline; candles by the day: just report --dataset perpetuals_ohlcv
[group('lake')]
[no-exit-message]
report *options:
    @{{ lake }} report "$@"

# A copy in a bucket, up to date with the lake: just push s3://bucket/lake --dry-run
[group('lake')]
[no-exit-message]
push *options:
    @{{ lake }} push "$@"

# The lake here, up to date with one in a bucket: just pull s3://bucket/lake --no-raw
[group('lake')]
[no-exit-message]
pull *options:
    @{{ lake }} pull "$@"

# Copies elsewhere, and back: just backup run, just backup verify, just backup restore --to restored
[group('lake')]
[no-exit-message]
backup *options:
    @{{ lake }} backup "$@"

# What changed in the lake, into the database: just load --instruments BTC-PERPETUAL
[group('database')]
[no-exit-message]
load *options:
    @{{ lake }} load "$@"

# Empty the tables and load them again from Parquet
[group('database')]
[no-exit-message]
reload *options:
    @{{ lake }} reload "$@"

# Hold the database against the lake, month by month
[group('database')]
[no-exit-message]
verify-db *options:
    @{{ lake }} verify-db "$@"

# A TimescaleDB of your own, from Debian's packages, on a free port: just db-up db-init
[group('database')]
[no-exit-message]
db-up:
    @{{ lake }} db up

# Stop it; its data stays in ./db
[group('database')]
[no-exit-message]
db-down:
    @{{ lake }} db down

# Which database is used, its version, edition and schema
[group('database')]
[no-exit-message]
db-status *options:
    @{{ lake }} db status "$@"

# Tables, views and roles; a second run changes nothing
[group('database')]
[no-exit-message]
db-init:
    @{{ lake }} db init

# Bring the schema to this version
[group('database')]
[no-exit-message]
db-migrate:
    @{{ lake }} db migrate

# Ask the database: just psql -c "SELECT count(*) FROM perpetuals_ohlcv"
[group('database')]
[no-exit-message]
psql *options:
    @{{ lake }} db psql "$@"

# Everything a change must pass: format, lint, types, imports, fast tests, docs
[group('work')]
check: lint test

# The backlog's smoke tests, with evidence: just accept 0|1|2|3|4|5|all [--scale small]
[group('work')]
[no-exit-message]
accept *phases:
    @{{ python }} -m tests.acceptance "$@"

# Format, ruff, mypy, import-linter; changes nothing
[group('work')]
lint:
    {{ in_env }} ruff format --check
    {{ in_env }} ruff check
    {{ in_env }} mypy
    {{ in_env }} lint-imports

# The fast tests, those of the docs among them, on all cores; just test -n 0 --pdb on one
[group('work')]
test *options:
    {{ in_env }} pytest -n auto --dist worksteal "$@"

# All tests but those that talk to the real Deribit; some take minutes
[group('work')]
test-all *options:
    {{ in_env }} pytest -n auto --dist worksteal -m "not live" "$@"

# Tables of speed and size: just bench [replay query contract command exchange quant quant_avx2]
[group('work')]
bench *tables:
    @{{ python }} -m benchmarks "$@"

# Format the code and repair what ruff can
[group('work')]
fmt:
    {{ in_env }} ruff format
    {{ in_env }} ruff check --fix

# What is written from the models: sql/schema.sql, sql/roles.sql, the columns in docs/lake.md
[group('work')]
schema:
    {{ python }} -m tests.schema

# Pages that are generated: docs/cli.md, docs/scale.md, the table of settings, columns in docs/lake.md
[group('work')]
docs:
    {{ python }} -m tests.pages

# The picture of the README, drawn from ./demo/lake: after just demo 3000
[group('work')]
picture:
    {{ python }} -m tests.picture

# The error plots of docs/quant.md
[group('work')]
picture-quant:
    {{ python }} -m tests.quant.picture

# The README's two commands on a bare Debian, as root and as a user: just bare bookworm
[group('work')]
bare *suite:
    .ci/bare "$@"

# The installer, a database and two syncs on new roots, under a systemd each: just fresh bookworm
[group('work')]
fresh *suites:
    {{ python }} -m tests.deploy.fresh "$@"

# Pin every dependency anew: just lock --upgrade, just lock --upgrade-package polars
[group('work')]
lock *options:
    {{ python }} .ci/lock.py "$@"

# Commands by the names the backlog has for them: docs/acceptance.md
[private]
[no-exit-message]
test_connectivity *options:
    @{{ lake }} ping "$@"
alias backfill_perpetuals := backfill-perp
alias backfill_futures := backfill-futures
alias backfill_options := backfill-options
alias collect_realtime := collect
alias data_quality_checks := quality
