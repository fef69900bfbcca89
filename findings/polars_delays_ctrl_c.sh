#!/usr/bin/env bash
# polars 2.1.0, CPython 3.11, Linux: where polars is imported, Ctrl-C does not end a wait of Python's.
#
# Guessed: SIGINT raises KeyboardInterrupt at once in a main thread that waits for a future, whatever
# was imported. Seen: once polars is imported, the same wait goes on until it ends by itself, and
# only then is KeyboardInterrupt raised. signal.getsignal still names Python's own handler. A
# program that hands work to a pool and waits for it should wait with a timeout, in a loop.
#
# Output seen:
#   nothing imported: KeyboardInterrupt after 1 s of 4
#   polars imported: KeyboardInterrupt after 4 s of 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0

cat > "$folder/wait.py" <<'PYTHON'
import concurrent.futures
import os
import signal
import sys
import threading
import time

if sys.argv[1] != "nothing imported":
    import polars  # noqa: F401
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    work = pool.submit(time.sleep, 4)
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    try:
        concurrent.futures.wait([work])
        said = "no KeyboardInterrupt"
    except KeyboardInterrupt:
        said = "KeyboardInterrupt"
    print(f"{sys.argv[1]}: {said} after {time.monotonic() - started:.0f} s of 4")
PYTHON

for case in "nothing imported" "polars imported"; do
    "$folder/venv/bin/python" "$folder/wait.py" "$case"
done | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
nothing imported: KeyboardInterrupt after 1 s of 4
polars imported: KeyboardInterrupt after 4 s of 4
EXPECTED
