"""Installations that are broken in one place each: doctor names the place, and what to do."""

import json
import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from lake.lock import locked, locked_file
from lake.partition import Partition
from lake.paths import Lake
from tests.acceptance.command import ROOT, Product
from tests.acceptance.doctored import DAY_MS, HOUR_MS, Installation, Told, copied, ended
from tests.acceptance.in_process import InProcess
from tests.acceptance.test_disk_full import NAMESPACE, can_mount
from tests.etl.collect.health.boards import fresh, troubled
from tests.etl.collect.health.serving import served
from tests.exchange.running import running

DATASET = "perpetuals_ohlcv"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return an installation that holds two days of both perpetuals, from an exchange of today."""
    folder = tmp_path_factory.mktemp("original")
    start = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    with running(now=None, limits=False) as exchange:
        product = Product(folder / "lake", exchange.url, (("TMPDIR", str(folder)),))
        for dataset in ("perpetuals", "funding"):
            done = InProcess(product).run("backfill", dataset, "--start", start)
            assert done.returncode == 0, done.stderr
        yield Installation(product)


@pytest.fixture
def installation(original, tmp_path):
    return copied(original, tmp_path)


def clean_file(installation):
    """Return the file of one perpetual, and its partition."""
    (path,) = (installation.lake / "clean" / DATASET / "BTC-PERPETUAL").glob("*.parquet")
    return path, Partition(DATASET, "BTC-PERPETUAL", path.stem)


def config(installation, text):
    """Return the words that name a file of settings of that text."""
    path = installation.folder / "deribit-lake.toml"
    path.write_text(text, encoding="utf-8")
    return ("--config", str(path))


def test_an_installation_that_is_well_has_no_finding(installation):
    told = installation.own_process()
    assert told.troubles == {}
    assert told.code == 0
    assert told.report["verdict"] == "healthy"
    assert told.report["seconds"] < 10
    assert told.all_of("verdict")[0].startswith("6 of 6 parts are COMPLETE, ")


def test_a_wrong_host(installation):
    found = installation.asking("http://127.0.0.1:9").doctor().only("host.unreachable")
    assert "http://127.0.0.1:9" in found["what"]
    assert found["todo"].startswith("correct the setting host;")


def test_a_host_nobody_has(installation):
    found = installation.asking("http://nobody.invalid").doctor().only("host.unknown")
    assert found["todo"].endswith("`getent hosts nobody.invalid`")


def test_a_history_host_that_is_wrong_alone(installation):
    broken = installation.told(DERIBIT_LAKE_HISTORY_HOST="http://127.0.0.1:9")
    found = broken.doctor().only("host.unreachable")
    assert found["todo"].startswith("correct the setting history_host;")


def test_a_proxy_that_is_none(installation):
    broken = installation.told(HTTP_PROXY="gopher://user:hunter2hunter2@proxy", NO_PROXY="")
    told = broken.doctor()
    assert set(told.troubles) <= {"host.way"}
    assert "HTTP_PROXY" in told.only("host.way")["what"]
    assert "hunter2" not in json.dumps(told.report)


def test_an_exchange_in_maintenance(installation):
    with running(now=None, limits=False, outage="html_503") as exchange:
        found = installation.asking(exchange.url).doctor().only("host.maintenance")
    assert "503" in found["what"]
    assert found["todo"].startswith("wait: a run waits by itself")


def test_a_clock_that_is_off(installation):
    ahead = f"{datetime.now(UTC) + timedelta(seconds=90):%Y-%m-%dT%H:%M:%SZ}"
    with running(now=ahead, speed=1, started=time.time(), limits=False) as exchange:
        found = installation.asking(exchange.url).doctor().only("clock.skew")
    assert "s behind the exchange's; 5 s are the limit" in found["what"]
    assert "timedatectl set-ntp true" in found["todo"]


@pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs")
def test_a_disk_that_is_nearly_full(installation):
    disk = installation.folder / "disk"
    disk.mkdir()
    product = Product(disk / "lake", installation.product.host, installation.product.settings)
    script = (
        f"mount -t tmpfs -o size=64m tmpfs {disk} && cp -a {installation.lake} {disk}/lake && "
        f"exec {shlex.join(product.command('doctor', '--json'))}"
    )
    done = subprocess.run(
        [*NAMESPACE, "bash", "-c", script],
        cwd=ROOT,
        env=product.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    told = Told(json.loads(done.stdout), done.returncode)
    found = told.only("disk.full")
    assert not [one for one in told.all_of("disk") if "lake" in one.rpartition("(")[2]]
    assert found["what"].endswith("(lake, logs), 2.0 GB are the least")
    assert found["todo"].startswith(f"make room on the disk of {disk}/lake")


@pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs")
def test_a_disk_without_inodes(installation):
    disk = installation.folder / "disk"
    disk.mkdir()
    product = Product(disk / "lake", installation.product.host, installation.product.settings)
    script = (
        f"mount -t tmpfs -o nr_inodes=500 tmpfs {disk} && cp -a {installation.lake} {disk}/lake && "
        f"exec {shlex.join(product.command('doctor', '--json'))}"
    )
    environment = {**product.environment, "DERIBIT_LAKE_COLLECT__LEAST_FREE_GB": "0"}
    done = subprocess.run(
        [*NAMESPACE, "bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = Told(json.loads(done.stdout), done.returncode).only("disk.inodes")
    assert "of 500 inodes free" in found["what"]


def test_a_disk_without_room_for_another_month(installation):
    marker = installation.lake / "lake.json"
    old = time.time() - 40 * 86_400
    os.utime(marker, (old, old))
    disk = os.statvfs(installation.lake)
    with (installation.lake / "raw" / "large.bin").open("wb") as file:
        file.truncate(disk.f_bavail * disk.f_frsize + 10**9)  # sparse: it takes no room
    found = installation.doctor().only("disk.month")
    assert found["what"].endswith("were written in 30 days")


def test_a_lake_of_a_newer_format(installation):
    (installation.lake / "lake.json").write_text('{"format": 99}\n')
    found = installation.doctor().only("lake.format")
    assert "has format 99, written by a newer deribit-lake" in found["what"]
    assert found["todo"].startswith("upgrade deribit-lake")


def test_a_lake_without_its_marker(installation):
    (installation.lake / "lake.json").unlink()
    found = installation.doctor().only("lake.marker")
    assert "deribit-lake backup restore" in found["todo"]


def test_no_lake_where_one_should_be(installation, tmp_path):
    elsewhere = Product(tmp_path / "nowhere", installation.product.host)
    found = Installation(elsewhere).doctor().only("lake.none")
    assert found["todo"].startswith(f"check root = {tmp_path}/nowhere")


def test_a_lake_that_is_a_file(installation, tmp_path):
    (tmp_path / "file").write_text("")
    broken = Installation(Product(tmp_path / "file", installation.product.host))
    assert "chown -R" in broken.doctor().only("lake.unwritable")["todo"]


def test_a_file_that_is_cut_off(installation):
    path, _ = clean_file(installation)
    path.write_bytes(path.read_bytes()[:-100])
    found = installation.doctor().only("lake.corrupt")
    assert found["what"] == str(path)
    assert found["todo"].startswith("`deribit-lake verify --quarantine`")


def test_a_flipped_byte_is_found_where_every_byte_is_read(installation):
    path, _ = clean_file(installation)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert installation.doctor().troubles == {}
    assert installation.doctor("--deep").only("lake.corrupt")["what"] == str(path)


def test_a_file_the_ledger_vouches_for_is_gone(installation):
    path, _ = clean_file(installation)
    path.unlink()
    for words in ((), ("--deep",)):
        found = installation.doctor(*words).only("lake.missing")
        assert found["what"] == str(path)
        assert f"`deribit-lake replay --dataset {DATASET}`" in found["todo"]


def test_a_file_of_other_rows_than_the_ledger_says(installation):
    path, _ = clean_file(installation)
    other = installation.lake / "clean" / DATASET / "ETH-PERPETUAL" / path.name
    line = installation.lake / "ledger" / DATASET / "BTC-PERPETUAL" / f"{path.stem}.json"
    told = json.loads(line.read_text())
    line.write_text(json.dumps(told | {"rows": told["rows"] + 1}))
    found = installation.doctor().only("lake.differs")
    assert found["what"] == str(path)
    assert other.exists()


def test_a_line_of_the_ledger_that_cannot_be_read(installation):
    path, partition = clean_file(installation)
    Lake(installation.lake).ledger(partition).write_text("{")
    told = installation.doctor()
    assert "verify --quarantine" in told.only("lake.ledger")["todo"]
    assert path.exists()


def test_raw_that_is_newer_than_what_is_made_of_it(installation):
    _, partition = clean_file(installation)
    raw = installation.lake / "raw" / "get_tradingview_chart_data"
    segment = next((raw / f"instrument={partition.part}").rglob("*.parquet"))
    segment.with_name(f"{segment.stem}-again.parquet").write_bytes(segment.read_bytes())
    found = installation.doctor().only("lake.unknown")
    assert found["details"][0].startswith(f"{DATASET} BTC-PERPETUAL: raw of {partition.period}")


def test_corrupt_files_that_were_set_aside(installation):
    folder = installation.lake / "quarantine" / "files" / "clean"
    folder.mkdir(parents=True)
    (folder / "2026.parquet.corrupt").write_bytes(b"PAR1")
    assert "then delete" in installation.doctor().only("lake.set_aside")["todo"]


def test_what_a_killed_process_left(installation):
    left = clean_file(installation)[0].with_suffix(".parquet.tmp")
    left.write_bytes(b"PAR1")
    assert installation.doctor().troubles == {}  # it may still be written
    old = time.time() - 7_200
    os.utime(left, (old, old))
    found = installation.doctor().only("lake.leftovers")
    assert str(left) in found["what"]
    assert found["todo"].startswith(f"`find {installation.lake} -name '*.tmp'")


def test_a_lock_that_is_held_for_hours(installation):
    _, partition = clean_file(installation)
    lake = Lake(installation.lake)
    with locked(lake, [partition]):
        told = installation.doctor()
        assert told.troubles == {}
        assert f"1 lock held, by process {os.getpid()}" in told.all_of("lake")
        old = time.time() - 7 * 3_600
        os.utime(lake.lock(partition), (old, old))
        found = installation.doctor().only("lake.lock")
    assert f"`kill {os.getpid()}`" in found["todo"]
    assert installation.doctor().troubles == {}


def test_an_unknown_setting_and_the_line_it_stands_on(installation):
    words = config(installation, "# mine\n[collect]\nfold_at = '01:20'\nkindz = ['candles']\n")
    told = installation.doctor(before=words)
    found = told.only("settings.unknown")
    assert "deribit-lake.toml, line 4: collect.kindz: no such setting" in found["what"]
    assert found["todo"] == "take it out, or write collect.kinds"
    (settings,) = [one for one in told.report["findings"] if one["code"] == "settings"]
    assert "collect.fold_at = 01:20 (file)" in settings["details"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[keep.option]\nsince = 2024-06-01\n", "no dataset 'option'; nearest: option_trades"),
        ("[keep]\ncomputed = ['greekz']\n", "greekz"),
        ("[keep]\nsince = 2124-06-01\n", "keep.since 2124-06-01 is in the future"),
    ],
)
def test_what_sync_would_refuse_to_keep(installation, text, words):
    found = installation.doctor(before=config(installation, text)).only("settings.keep")
    assert words in found["what"]
    assert found["todo"].startswith("correct it: docs/sync.md lists its words")


def test_settings_that_are_no_toml_and_the_line_it_breaks_on(installation):
    words = config(installation, "connections = 4\nroot = data\n")
    found = installation.doctor(before=words).only("settings.file")
    assert "at line 2, column 8" in found["what"]


def test_settings_of_a_file_that_is_not_there(installation):
    words = ("--config", str(installation.folder / "nowhere.toml"))
    assert "no such file" in installation.doctor(before=words).only("settings.file")["what"]


def test_a_value_no_field_expects_from_each_place(installation):
    words = config(installation, "connections = 99\n")
    broken = installation.told(
        DERIBIT_LAKE_RETRY_ATTEMPTS="0", DERIBIT_LAKE_COLLECT__KINDS="candles"
    )
    told = broken.doctor(before=words)
    assert told.code == 1
    seen = {one["what"] for one in told.report["findings"] if one["level"] == "fault"}
    assert {one.partition(": ")[0].rpartition("/")[2] for one in seen} == {
        "deribit-lake.toml, line 1",
        "variable DERIBIT_LAKE_RETRY_ATTEMPTS",
        "variable DERIBIT_LAKE_COLLECT__KINDS",
    }
    assert any("99" in one for one in seen)


def test_a_variable_that_is_no_setting(installation):
    found = installation.told(DERIBIT_LAKE_CONECTIONS="4").doctor().only("settings.variable")
    assert found["todo"] == "unset DERIBIT_LAKE_CONECTIONS, or write DERIBIT_LAKE_CONNECTIONS"


def test_secrets_that_others_may_read(installation):
    words = config(installation, "")
    secrets = installation.folder / "environment"
    secrets.write_text("DERIBIT_LAKE_DSN=postgresql://deribit:geheim@127.0.0.1/deribit\n")
    secrets.chmod(0o600)
    assert installation.doctor(before=words).troubles == {}
    secrets.chmod(0o644)
    found = installation.doctor(before=words).only("secrets.mode")
    assert found["todo"].startswith(f"chmod 600 {secrets}")


def test_no_secret_is_said(installation):
    secrets = {
        "DERIBIT_LAKE_DSN": "postgresql://deribit:s3cr3t-one@127.0.0.1:9/deribit",
        "DERIBIT_LAKE_COLLECT__PING_URL": "https://hc-ping.com/5ec2e7-two",
        "RESTIC_PASSWORD": "s3cr3t-three",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t-four",
        "PGPASSWORD": "s3cr3t-five",
    }
    done = InProcess(installation.told(**secrets).product).run("doctor", "--json")
    assert not [text for text in secrets.values() if text in done.stdout]
    assert "s3cr3t" not in done.stdout
    assert "5ec2e7" not in done.stdout
    assert "RESTIC_PASSWORD = (set) (environment)" in done.stdout


def test_a_library_of_a_wrong_version(installation, tmp_path):
    installed(tmp_path / "site", "polars", "1.0.0")
    found = installation.told(PYTHONPATH=str(tmp_path / "site")).own_process()
    assert found.only("library.version")["what"].startswith("polars 1.0.0, expected ")


def test_a_library_of_another_version_than_the_pinned_one(installation, tmp_path):
    installed(tmp_path / "site", "polars", "2.2.0rc1")
    found = installation.told(PYTHONPATH=str(tmp_path / "site")).own_process()
    assert found.only("library.unpinned")["what"].startswith("polars 2.2.0rc1, expected ==")


def test_a_library_that_is_broken_harms_no_other_check(installation, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "pyarrow.py").write_text("raise ImportError('libarrow.so: not found')")
    told = installation.told(PYTHONPATH=str(tmp_path / "site")).own_process()
    assert told.code == 1
    assert "libarrow.so: not found" in told.only("check.failed")["what"]
    assert told.all_of("settings")


def installed(folder, name, version):
    """Let a library be installed in a version, as far as its metadata go."""
    held = folder / f"{name}-{version}.dist-info"
    held.mkdir(parents=True)
    (held / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("operation", "ago_ms", "exit_code", "code", "cure"),
    [
        ("sync", 37 * HOUR_MS, 0, "sync.old", "`deribit-lake sync`"),
        ("sync", HOUR_MS, 3, "sync.short", "`deribit-lake status`"),
        ("backup", 37 * HOUR_MS, 0, "backup.old", "`deribit-lake backup run`"),
        ("backup", HOUR_MS, 1, "backup.failed", "`deribit-lake backup run`"),
        ("drill", 10 * DAY_MS, 0, "drill.old", "`deribit-lake backup verify`"),
        ("backup", HOUR_MS, 3, "backup.short", "`deribit-lake verify`"),
        ("drill", HOUR_MS, 3, "drill.failed", "`deribit-lake backup verify`"),
        ("drill", HOUR_MS, 1, "drill.failed", "`deribit-lake backup verify`"),
    ],
)
def test_an_operation_that_is_too_old_or_failed(
    installation, operation, ago_ms, exit_code, code, cure
):
    ended(installation, operation, ago_ms, exit_code, "it is full" if exit_code else None)
    found = installation.doctor().only(code)
    assert found["todo"].startswith(cure)
    assert ("it is full" in found["what"]) == bool(exit_code)


def test_operations_as_old_as_they_may_be_are_well(installation):
    for name, hours in (("sync", 35), ("backup", 35), ("drill", 8.9 * 24)):
        ended(installation, name, round(hours * HOUR_MS))
    assert installation.doctor().troubles == {}


def test_a_database_that_is_down(installation):
    dsn = "postgresql://deribit:s3cr3t@127.0.0.1:9/deribit"
    found = installation.told(DERIBIT_LAKE_DSN=dsn).doctor().only("database.unreachable")
    assert "postgresql://deribit@127.0.0.1:9/deribit" in found["what"]
    assert found["todo"].startswith("start it: `deribit-lake db up`")


def test_a_connection_string_that_cannot_be_read(installation):
    found = installation.told(DERIBIT_LAKE_DSN="postgresql://a:b@c@d/e").doctor()
    assert "%40" in found.only("database.dsn")["what"]


@pytest.fixture
def backed_up(installation):
    """Return an installation whose lake was backed up into a folder."""
    repository = installation.folder / "repository"
    known = {"DERIBIT_LAKE_BACKUP__REPOSITORY": str(repository), "RESTIC_PASSWORD": "geheim-1"}
    known["RESTIC_CACHE_DIR"] = str(installation.folder / "cache")
    told = installation.told(**known)
    done = InProcess(told.product).run("backup", "run")
    assert done.returncode == 0, done.stderr
    return told


def test_a_repository_that_opens(backed_up):
    told = backed_up.doctor()
    assert told.troubles == {}
    assert "opens with the password" in told.all_of("repository")[0]


def test_a_wrong_password_of_the_repository(backed_up):
    told = backed_up.told(RESTIC_PASSWORD="geheim-2").doctor()  # noqa: S106  (made up)
    assert told.only("backup.password")["todo"].startswith("correct RESTIC_PASSWORD")
    assert "geheim" not in json.dumps(told.report)


def test_no_password_of_the_repository(backed_up):
    found = backed_up.told(RESTIC_PASSWORD="").doctor().only("backup.password")
    assert found["what"].startswith("no password for the repository")


def test_no_restic(backed_up, tmp_path):
    found = backed_up.told(PATH=str(tmp_path / "empty")).doctor().only("backup.restic")
    assert found["todo"] == "apt-get install restic"


def test_a_repository_that_is_gone(backed_up):
    (backed_up.folder / "repository").rename(backed_up.folder / "elsewhere")
    found = backed_up.doctor().only("backup.repository")
    assert found["todo"].startswith("mount its disk")


def test_a_repository_that_is_damaged(backed_up):
    file = backed_up.folder / "repository" / "config"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-20] + bytes(20))
    assert "restic check" in backed_up.doctor().only("backup.damaged")["todo"]


def test_a_store_that_does_not_answer(backed_up):
    keys = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "geheim-3"}
    broken = backed_up.told(DERIBIT_LAKE_BACKUP__REPOSITORY="s3:http://127.0.0.1:9/lake", **keys)
    told = broken.doctor()
    assert set(told.troubles) <= {"backup.unreachable", "backup.refuses"}
    assert told.code == 1
    assert "geheim" not in json.dumps(told.report)


def test_keys_of_the_store_that_are_not_set(backed_up):
    broken = backed_up.told(DERIBIT_LAKE_BACKUP__REPOSITORY="b2:bucket:lake")
    assert "B2_ACCOUNT_ID" in broken.doctor().only("backup.keys")["todo"]


def test_a_sync_that_is_set_up_and_never_ran(installation):
    (installation.lake / "operations" / "sync.json").unlink()
    assert installation.doctor().troubles == {}
    kept = installation.told(DERIBIT_LAKE_KEEP__SINCE="2026-01-01").doctor("--offline")
    assert "sync.never" in kept.troubles


@pytest.mark.parametrize("operation", ["backup", "drill"])
def test_an_operation_that_is_set_up_and_never_ran(backed_up, operation):
    (backed_up.lake / "operations" / f"{operation}.json").unlink()
    assert "has not run yet" in backed_up.doctor().only(f"{operation}.never")["what"]


def test_credits_that_cannot_be_shared(installation):
    (installation.folder / f"deribit-lake-{os.getuid()}").write_text("")
    found = installation.own_process().only("credits.file")
    assert found["todo"].startswith(f"delete {installation.folder}/deribit-lake-")


def test_an_exchange_that_wants_fewer_requests(installation):
    with running(now=None, limits=False, outage="http_429_json") as exchange:
        told = installation.asking(exchange.url).doctor()
    assert "HTTP 429 passes by itself" in told.only("host.refuses")["todo"]


def test_a_collector_whose_page_does_not_answer(installation):
    quiet = installation.told(DERIBIT_LAKE_COLLECT__LISTEN="127.0.0.1:9")
    assert quiet.doctor().troubles == {}
    lock = installation.lake / "live" / "collect.lock"
    with locked_file(lock, "the live day"):
        long_ago = time.time() - 7 * 86_400
        os.utime(lock, (long_ago, long_ago))
        found = quiet.doctor().only("collector.silent")
    assert f"`ps -fp {os.getpid()}`" in found["todo"]


@pytest.mark.parametrize(("board", "codes"), [(fresh, []), (troubled, ["collector.alarm"])])
def test_a_collector_by_its_page(installation, board, codes):
    with served(board()) as (address, _):
        told = installation.told(DERIBIT_LAKE_COLLECT__LISTEN=address).doctor()
    assert list(told.troubles) == codes
    assert codes or told.all_of("collector") == [f"the collector at http://{address} is fresh"]


def test_a_lake_on_a_disk_that_may_only_be_read(installation):
    if not can_mount():
        pytest.skip("it needs the right to mount")
    lake, command = installation.lake, installation.product.command("doctor", "--json")
    script = (
        f"mount --bind {lake} {lake} && mount -o remount,bind,ro {lake} && {shlex.join(command)}"
    )
    done = subprocess.run(
        [*NAMESPACE, "bash", "-c", script],
        cwd=ROOT,
        env=installation.product.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    Told(json.loads(done.stdout), done.returncode).only("lake.unwritable")


DEAF = """
import socket, subprocess, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.9.9.9", 53))  # hears, and never answers
sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)
"""


@pytest.mark.skipif(not can_mount(), reason="names of its own need the right to mount")
def test_names_that_nobody_answers_for_are_not_waited_for(installation):
    names = installation.folder / "resolv.conf"
    names.write_text("nameserver 127.9.9.9\n")
    product = installation.asking("https://www.example.com").product
    command = [sys.executable, "-c", DEAF, *product.command("doctor", "--json")]
    script = f"mount --bind {names} /etc/resolv.conf && {shlex.join(command)}"
    started = time.monotonic()
    done = subprocess.run(
        [*NAMESPACE, "bash", "-c", script],
        cwd=ROOT,
        env=product.environment | {"DERIBIT_LAKE_HISTORY_HOST": installation.product.host},
        capture_output=True,
        text=True,
        check=False,
    )
    assert time.monotonic() - started < 15  # a second or two of it are Python's
    found = Told(json.loads(done.stdout), done.returncode).only("host.unknown")
    assert "its name is not looked up within" in found["what"]


def test_offline_leaves_out_what_needs_the_network(installation):
    s3 = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": "s3:http://127.0.0.1:9/lake",
        "RESTIC_PASSWORD": "secret",
    }
    s3 |= {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "geheim"}
    told = installation.asking("http://127.0.0.1:9").told(**s3).doctor("--offline")
    assert told.troubles == {}
    assert told.all_of("repository") == ["--offline"]
    assert told.all_of("exchange") == ["--offline"]


def test_nothing_is_left_behind(installation):
    before = {path: path.stat().st_mtime_ns for path in installation.lake.rglob("*")}
    assert installation.doctor("--deep").code == 0
    assert {path: path.stat().st_mtime_ns for path in installation.lake.rglob("*")} == before


def test_people_read_it_on_a_narrow_terminal(installation):
    narrow = installation.told(COLUMNS="44").asking("http://127.0.0.1:9")
    done = InProcess(narrow.product).run("doctor")
    lines = done.stdout.splitlines()
    assert any(line.startswith("FAULT    host.unreachable:") for line in lines)
    long = [line for line in lines if len(line) > 44]
    assert all(" " not in line.strip().removeprefix("-> ") for line in long)  # a path is not cut
    assert lines[-2].startswith("1 fault, 0 warnings, ")
