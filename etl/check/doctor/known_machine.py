"""Findings on programs, settings, disks and the lake."""

from etl.check.doctor.cure import Known

PROGRAM = {
    "library.missing": Known(
        "fault",
        "a library the program needs is not installed",
        "install again: deploy/install.sh on a server, `uv sync` in a checkout",
    ),
    "library.version": Known(
        "fault",
        "a library is of a version the program does not work with",
        "install again: deploy/install.sh on a server, `uv sync` in a checkout",
    ),
    "library.unpinned": Known(
        "warning",
        "a library is of another version than the one the program was tested with",
        "`uv sync` brings what requirements.lock pins",
    ),
    "cpu.features": Known(
        "fault",
        "the processor lacks instructions that polars is compiled to; in a virtual machine they "
        "may be hidden",
        "let the virtual machine pass its host's processor through, or move to another",
    ),
    "numba.cache": Known(
        "warning",
        "numba may write nowhere, so that each command compiles its kernels anew",
        "set NUMBA_CACHE_DIR to a folder that {user} may write",
    ),
}

SETTINGS = {
    "settings.file": Known(
        "fault",
        "the file of settings is not there, cannot be read, or is no TOML",
        "mend {file}; `deribit-lake --help` says how it is named",
    ),
    "settings.value": Known(
        "fault",
        "a setting is not what its field expects, so that no command runs",
        "correct it: docs/operations.md lists every setting, its default and its unit",
    ),
    "settings.unknown": Known(
        "fault",
        "a setting nobody knows stands in the file or the environment, so that no command runs",
        "take it out, or write {nearest}",
    ),
    "settings.keep": Known(
        "fault",
        "the section [keep] names what there is not, or says of it what cannot be: `sync` refuses",
        "correct it: docs/sync.md lists its words; `deribit-lake sync --dry-run` tries it",
    ),
    "settings.variable": Known(
        "warning",
        "a variable of the environment looks like a setting and is none: it changes nothing",
        "unset {name}, or write {nearest}",
    ),
    "secrets.mode": Known(
        "fault",
        "others than its owner may read a file of secrets",
        "chmod 600 {file}, and change the secrets that stood in it",
    ),
}

DISK = {
    "disk.full": Known(
        "fault",
        "a disk is so full that the collector stops, or the next run will",
        "make room on the disk of {folder}, or move it: docs/operations.md, Move to another server",
    ),
    "disk.month": Known(
        "warning",
        "a disk has no room for as much as was written in the last 30 days",
        "make room on the disk of {folder}, or get a larger one",
    ),
    "disk.inodes": Known(
        "fault",
        "the file system has no room for more files, however many bytes are free",
        "delete small files on the disk of {folder}: `du --inodes -x {folder}` says where they lie",
    ),
    "files.atomic": Known(
        "fault",
        "the file system does not put a file in another's place, or not durably",
        "keep the lake on a local file system (ext4, xfs, btrfs, zfs): root in deribit-lake.toml",
    ),
    "files.lock": Known(
        "fault",
        "the file system lets two processes hold one lock, so that two may write one partition",
        "keep the lake on a local file system (ext4, xfs, btrfs, zfs): root in deribit-lake.toml",
    ),
    "files.network": Known(
        "warning",
        "the lake lies on a network: locks and durable writes are as good as its server's",
        "keep the lake on a local file system, or write to it from one machine alone",
    ),
}

STORE = {
    "store.unreachable": Known(
        "fault",
        "the store of the bucket does not answer: a wrong address, a firewall, a proxy",
        "correct s3.endpoint, or AWS_ENDPOINT_URL; `curl -v {address}` says how far it gets",
    ),
    "store.refuses": Known(
        "fault",
        "the store refuses: there is no such bucket, or the keys are wrong, expired, or may not "
        "even read",
        "correct `root`, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
    ),
    "store.read_only": Known(
        "warning",
        "the keys may read below the lake's prefix, and not write and delete there",
        "right for who only reads; else give the keys s3:PutObject and s3:DeleteObject",
    ),
    "store.unconditional": Known(
        "fault",
        "the store ignores conditions of a put, by which all locks hold: two processes could "
        "write one partition, and mix what they write",
        "move the lake to a store that knows If-None-Match and If-Match, or to a disk; until then "
        "one process at a time may write it",
    ),
    "store.clock": Known(
        "warning",
        "this machine's clock is off the store's, which refuses all requests from 15 minutes on",
        "`timedatectl set-ntp true`, or install chrony: `apt-get install chrony`",
    ),
    "work.unwritable": Known(
        "fault",
        "the folder for journals and files in work on a lake in a bucket may not be written",
        "set s3.work_dir to a folder that {user} may write, or: chown -R {user} {folder}",
    ),
    "work.journals": Known(
        "warning",
        "messages that were collected for another lake, or another address of this one, lie there "
        "and are in no lake yet",
        "`deribit-lake collect` with that lake's `root` brings them there; then delete its folder "
        "in {folder}",
    ),
}

LAKE = {
    "lake.none": Known(
        "warning",
        "there is no lake at `root` yet, or `root` names another folder than it should",
        "check root = {folder}; `deribit-lake sync` or `deribit-lake backfill` makes a lake there",
    ),
    "lake.unwritable": Known(
        "fault",
        "the lake's folder is no folder, or may not be written by who runs the program",
        "chown -R {user} {folder}, or run as its owner: on a server as root, by "
        "/usr/local/bin/deribit-lake",
    ),
    "lake.format": Known(
        "fault",
        "a newer version wrote the lake, or lake.json does not say by which format it is written",
        "upgrade deribit-lake: docs/operations.md, Upgrade, go back",
    ),
    "lake.marker": Known(
        "fault",
        "the folder holds a lake's data and no lake.json, which says their format",
        "copy lake.json back from a backup: `deribit-lake backup restore` brings all of it",
    ),
    "lake.leftovers": Known(
        "warning",
        "a process was killed while it wrote: what it left is read by nobody and takes room",
        "`find {folder} -name '*.tmp' -mmin +60 -delete`, while nothing else writes the lake",
    ),
    "lake.lock": Known(
        "warning",
        "a process has held the lock of a partition for hours: it works for very long, or hangs",
        "see what it does: `ps -fp {pid}`; `kill {pid}` ends it, and loses nothing",
    ),
    "lake.ledger": Known(
        "fault",
        "a line of the ledger cannot be read",
        "`deribit-lake verify --quarantine`, then `deribit-lake replay`",
    ),
    "lake.missing": Known(
        "fault",
        "the ledger vouches for a file that is gone",
        "`deribit-lake replay --dataset {dataset}` makes it again from raw",
    ),
    "lake.corrupt": Known(
        "fault",
        "a file is damaged or cut off: a failing disk, or a copy that was not finished",
        "`deribit-lake verify --quarantine` moves it aside, then `deribit-lake replay`",
    ),
    "lake.differs": Known(
        "fault",
        "a file does not hold what the ledger says of it",
        "`deribit-lake replay --dataset {dataset}` makes it again from raw",
    ),
    "lake.unknown": Known(
        "warning",
        "raw data are newer than what is made of them: a run was stopped, or a step is not done",
        "do what `deribit-lake status` says of each, or all at once: `deribit-lake replay`",
    ),
    "lake.incomplete": Known(
        "warning",
        "rows that were asked for did not come, and nothing says that they cannot",
        "{commands}",
    ),
    "lake.quarantined": Known(
        "warning",
        "rows came that break their contract; they are kept apart, and no query sees them",
        "look at them in {folder}; `deribit-lake heal` asks for them again",
    ),
    "lake.set_aside": Known(
        "warning",
        "corrupt files were moved aside by `verify --quarantine` and still lie there",
        "`deribit-lake status` says whether all is made again; then delete {folder}",
    ),
}
