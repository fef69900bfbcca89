"""Findings on the exchange, the database, what runs by itself, and backups."""

from etl.check.doctor.cure import Known

EXCHANGE = {
    "host.unknown": Known(
        "fault",
        "no machine has the name of the host, or names cannot be looked up",
        "correct the setting {setting}, or the machine's DNS: `getent hosts {name}`",
    ),
    "host.unreachable": Known(
        "fault",
        "nothing that is Deribit answers there: a wrong address, a firewall, a proxy",
        "correct the setting {setting}; `curl -v {url}/api/v2/public/test` says how far it gets",
    ),
    "host.maintenance": Known(
        "warning",
        "the exchange is down for a release, and says so",
        "wait: a run waits by itself, for up to patience_minutes; https://status.deribit.com",
    ),
    "host.refuses": Known(
        "fault",
        "the exchange answers, and refuses the simplest question",
        "see what it says; HTTP 429 passes by itself, and other programs at this address count",
    ),
    "host.way": Known(
        "fault",
        "the environment names a proxy or certificates that cannot be used",
        "correct the variable: docs/operations.md, Proxies and certificates",
    ),
    "clock.skew": Known(
        "fault",
        "this machine's clock is off the exchange's",
        "`timedatectl set-ntp true`, or install chrony: `apt-get install chrony`",
    ),
    "clock.unsynchronised": Known(
        "warning",
        "nothing keeps this machine's clock right: it drifts, by seconds a day",
        "`timedatectl set-ntp true`, or install chrony: `apt-get install chrony`",
    ),
    "credits.file": Known(
        "fault",
        "the file by which all processes share the exchange's credits cannot be used",
        "delete {file}, or set TMPDIR to a folder that {user} may write",
    ),
    "credits.apart": Known(
        "warning",
        "this command and the collector count their credits apart, and together may ask too often",
        "run commands as root, by /usr/local/bin/deribit-lake; or set TMPDIR={folder}",
    ),
}

DATABASE = {
    "database.dsn": Known(
        "fault",
        "the connection string cannot be read",
        "correct DERIBIT_LAKE_DSN: docs/database.md says how @ / ? : are written in a password",
    ),
    "database.unreachable": Known(
        "fault",
        "no server answers where the database should be",
        "start it: `deribit-lake db up` for its own, `systemctl start postgresql`, or `docker "
        "compose up -d`; else correct DERIBIT_LAKE_DSN",
    ),
    "database.login": Known(
        "fault",
        "the server refuses the user, the password or the address",
        "correct DERIBIT_LAKE_DSN; `deribit-lake db psql` tries it",
    ),
    "database.extension": Known(
        "fault",
        "the database has no TimescaleDB",
        "install its package on the server, then `deribit-lake db init`",
    ),
    "database.old": Known(
        "fault",
        "PostgreSQL or TimescaleDB is older than what is needed",
        "upgrade the server: docs/database.md",
    ),
    "database.schema": Known(
        "fault",
        "the tables are not those of this version, or are not there yet",
        "`deribit-lake db {command}`",
    ),
    "database.altered": Known(
        "fault",
        "somebody altered the tables, or a newer version made them",
        "see docs/database.md; a newer schema wants a newer deribit-lake",
    ),
    "database.rights": Known(
        "fault",
        "the user of the database may not write the tables",
        "as their owner: GRANT deribit_loader TO {user}",
    ),
    "database.upkeep": Known(
        "warning",
        "what the server does with the tables is not as it should be: a job, a policy, a key",
        "{todo}",
    ),
    "database.behind": Known(
        "warning",
        "the lake holds what the database was not loaded with yet",
        "`deribit-lake load`",
    ),
    "database.refuses": Known(
        "fault",
        "the database answers, and refuses what it is asked",
        "`deribit-lake db status` asks it again; the server's log says why",
    ),
}

RUNNING = {
    "collector.down": Known(
        "fault",
        "the collector is installed and to be started at boot, and does not run",
        "systemctl start deribit-lake-collect; `journalctl -u deribit-lake-collect -n 50` says why",
    ),
    "collector.alarm": Known(
        "warning",
        "the collector runs, and something rings",
        "`deribit-lake status --live`; docs/operations.md, When an alarm rings",
    ),
    "collector.silent": Known(
        "warning",
        "a process collects into this lake, and its page does not answer",
        "see what it does: `ps -fp {pid}`; docs/operations.md, When an alarm rings",
    ),
    "timer.missing": Known(
        "fault",
        "this installation has units of deribit-lake, and one of its timers is not there",
        "run deploy/install.sh again: it puts them in place",
    ),
    "timer.disabled": Known(
        "fault",
        "a timer is there and does not tick: what it starts never runs by itself",
        "systemctl enable --now {unit}",
    ),
    "timer.failed": Known(
        "fault",
        "what a timer started last has failed",
        "journalctl -u {service} -n 50; then systemctl start {service}",
    ),
}

LAST = {
    f"{name}.{end}": known
    for name, command, how_often in (
        ("sync", "deribit-lake sync", "36 hours"),
        ("backup", "deribit-lake backup run", "36 hours"),
        ("drill", "deribit-lake backup verify", "9 days"),
    )
    for end, known in (
        ("never", Known("warning", f"`{command}` never ran here", f"`{command}`")),
        (
            "old",
            Known(
                "warning",
                f"`{command}` did not run within {how_often}: its timer is off, or the machine was",
                f"`{command}`; `systemctl list-timers 'deribit-lake-*'` says when it runs next",
            ),
        ),
        (
            "failed",
            Known(
                "fault",
                f"the last run of `{command}` ended with an error",
                f"`{command}` again; `journalctl -u deribit-lake-{name} -n 50` says more",
            ),
        ),
    )
}

SHORT = {
    "sync.short": Known(
        "warning",
        "the last sync ended, and not all that is to be kept is COMPLETE",
        "`deribit-lake status` says what is missing; `deribit-lake sync` asks again",
    ),
    "backup.short": Known(
        "warning",
        "the last backup could not read every file of the lake, and holds the rest",
        "`deribit-lake verify` says which are damaged; mend them, then `deribit-lake backup run`",
    ),
}

BACKUP = {
    "backup.restic": Known(
        "fault",
        "a repository is named for backups, and restic is not installed",
        "apt-get install restic",
    ),
    "backup.pg_dump": Known(
        "fault",
        "the database is to be backed up, and PostgreSQL's client is not installed",
        "apt-get install postgresql-client; or backup.database = false",
    ),
    "backup.password": Known(
        "fault",
        "the password of the repository is not the one it was made with, or none is set",
        "correct RESTIC_PASSWORD or RESTIC_PASSWORD_FILE in /etc/deribit-lake/environment",
    ),
    "backup.keys": Known(
        "fault",
        "the environment lacks the keys of the store the repository is in",
        "set them in /etc/deribit-lake/environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or B2_ACCOUNT_ID and B2_ACCOUNT_KEY",
    ),
    "backup.repository": Known(
        "fault",
        "there is no repository at the address: not made yet, deleted, or its disk is not mounted",
        "mount its disk, or correct backup.repository; `deribit-lake backup run` makes a new one",
    ),
    "backup.unreachable": Known(
        "fault",
        "the store of the repository does not answer, or refuses its keys",
        "correct backup.repository, or the keys in /etc/deribit-lake/environment",
    ),
    "backup.damaged": Known(
        "fault",
        "files of the repository are damaged or gone",
        "`restic check`, then `restic repair index`; a new repository is the sure way",
    ),
    "backup.refuses": Known(
        "fault",
        "restic does not answer in time, or fails in a way that is not known",
        "`restic -r REPOSITORY cat config` says more",
    ),
}
