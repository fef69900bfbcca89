"""PostgreSQL with TimescaleDB out of Debian's packages, unpacked into a folder.

Nothing is installed: no root, no dpkg lock. The programs are started by the folder's own ld.so
with the folder's own libraries, so that the host's release does not matter.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from etl.errors import LocalServerError

RELEASE, POSTGRESQL = "trixie", "17"
PROGRAMS = Path("usr/lib/postgresql") / POSTGRESQL / "bin"
WRAPPED = ("initdb", "psql", "pg_ctl", "pg_dump", "pg_restore", "postgres")
PACKAGES = f"""
postgresql-{POSTGRESQL} postgresql-client-{POSTGRESQL} postgresql-{POSTGRESQL}-timescaledb
libc6 libgcc-s1 libstdc++6 libpq5 libssl3t64 libicu76 libxml2 libzstd1 liblz4-1 liblzma5 zlib1g
libxxhash0 libreadline8t64 libtinfo6 libpam0g libaudit1 libcap-ng0 libcap2 libsystemd0 libldap2
libsasl2-2 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1
""".split()
NEEDED = ("apt-get", "dpkg-deb", "setpriv")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ELSEWHERE = "use Docker (deploy/compose.yaml) or name another server by --dsn"

_APT_CONFIG = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "{user}";
Acquire::Languages "none";
Acquire::Retries "3";
"""
# argv[0] stays the wrapper's path: PostgreSQL finds its share/ and lib/ from it.
_WRAPPER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
libraries=$here/../../../x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 "$here/{name}" \\
    "$here/{name}.bin" "$@"
"""


def default_cache() -> Path:
    """Return the folder packages are unpacked into; root's is one the server's user can read."""
    base = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return base / "deribit-lake" / f"timescaledb-{RELEASE}"


def unpacked(cache: Path | None = None) -> Path:
    """Return the folder that holds PostgreSQL's programs, unpacking the packages if need be.

    Raises
    ------
    LocalServerError
        If this machine has no Debian packages, or they cannot be fetched.
    """
    root = cache or default_cache()
    if not is_unpacked(root):
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            if cache is None and os.geteuid() == 0:
                root.parent.chmod(0o755)  # whatever the umask: the server's user reads it
            with alone(root.with_name(f"{root.name}.lock")):
                if not (root / PROGRAMS / "postgres").exists():
                    _unpack(root)
                _wrap(root / PROGRAMS)
        except OSError as error:
            message = f"cannot unpack PostgreSQL into {root}: {error.strerror or error}"
            raise LocalServerError(message) from error
    return root / PROGRAMS


def is_unpacked(cache: Path | None = None) -> bool:
    """Whether the programs are there already."""
    programs = (cache or default_cache()) / PROGRAMS
    return all((programs / f"{name}.bin").exists() for name in WRAPPED)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process holds the lock, and hold it."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def obtainable() -> str | None:
    """Return None where Debian's packages can be had, else what is missing."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"no {missing[0]} on this machine"
    if not KEYRING.exists():
        return f"no {KEYRING}"
    if os.uname().machine != "x86_64":
        return f"the packages are for x86_64, this machine is {os.uname().machine}"
    return None if _mirror() else "apt has no Debian mirror here"


def run(command: Sequence[object], **options: object) -> str:
    """Return what a program of the system prints.

    Raises
    ------
    LocalServerError
        If it cannot be run, or fails; the message is its last line.
    """
    try:
        done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603  the commands are ours
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
    except OSError as error:
        message = f"cannot run {command[0]}: {error.strerror or error}"
        raise LocalServerError(message) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        message = f"{Path(str(command[0])).name} failed ({done.returncode}): {said[-1]}"
        raise LocalServerError(message)
    return str(done.stdout)


def _unpack(root: Path) -> None:
    reason = obtainable()
    if reason is not None:
        message = f"no TimescaleDB from Debian's packages: {reason}; {ELSEWHERE}"
        raise LocalServerError(message)
    with tempfile.TemporaryDirectory(prefix=f"{root.name}.", dir=root.parent) as name:
        folder = Path(name)
        _download(folder)
        target = folder / "root"
        for package in sorted(folder.glob("*.deb")):
            run(["dpkg-deb", "-x", package, target])
        for unused in ("locale", "doc", "man"):
            shutil.rmtree(target / "usr/share" / unused, ignore_errors=True)
        shutil.rmtree(target / PROGRAMS.parent / "lib/bitcode", ignore_errors=True)
        _wrap(target / PROGRAMS)
        target.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        target.rename(root)


def _download(folder: Path) -> None:
    """Fetch the packages; apt checks signatures and hashes."""
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "status").touch()
    user = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "apt.conf").write_text(_APT_CONFIG.format(folder=folder, user=user), encoding="utf-8")
    source = f"deb [arch=amd64 signed-by={KEYRING}] {_mirror()} {RELEASE} main\n"
    (folder / "sources.list").write_text(source, encoding="utf-8")
    environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
    run(["apt-get", "-qq", "update"], env=environment)
    run(["apt-get", "-qq", "download", *PACKAGES], env=environment, cwd=folder)


def _wrap(programs: Path) -> None:
    """Put a script in the place of each program; of those that have one it is left as it is."""
    for name in WRAPPED:
        program, own = programs / name, programs / f"{name}.bin"
        if not own.exists():
            script = programs / f"{name}.new"
            script.write_text(_WRAPPER.format(name=name), encoding="utf-8")
            script.chmod(0o755)
            own.hardlink_to(program)
            script.replace(program)


def _mirror() -> str | None:
    """Return the Debian mirror this host's apt is set up with."""
    form = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    rows = (line.split() for line in listed.splitlines())
    mirrors = (row[2] for row in rows if len(row) == 3 and row[0] == "Debian" and "-" not in row[1])  # noqa: PLR2004  origin, release, address
    return next(mirrors, None)
