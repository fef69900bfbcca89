#!/usr/bin/env bash
# Dask 2026.8.0 (distributed), numpy 2.4.6, Linux x86-64 with AVX-512: one task, two answers.
#
# Guessed: Dask compares the versions of its workers, so one that `Client.get_versions(check=True)`
# accepts computes what any other does, and a task that is run again after a worker was lost gives
# the same bytes. Seen: numpy's exp and log have other last digits with AVX-512 than without, so that
# discount factors and log-moneyness depend on which machine of a mixed cluster a task came to, and
# nothing says so. A processor without AVX-512 is had here by NPY_DISABLE_CPU_FEATURES, which is also
# the cure: set on all machines, they agree.
#
# What to compare besides versions: numpy.lib.introspect.opt_func_info().
#
# Output seen:
#   versions: nothing to complain of
#   exp(-rate * tenor): 2 answers of 2 workers
#   log(strike / forward): 2 answers of 2 workers
#   what numpy says it runs: ['X86_V3', 'X86_V4']
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check distributed==2026.8.0 numpy==2.4.6

cat > "$folder/ask.py" <<'PYTHON'
import sys

from distributed import Client


def discounts():
    import numpy as np

    return np.exp(-np.linspace(0.01, 0.06, 100_000) * np.linspace(0.003, 2, 100_000)).tobytes()


def moneyness():
    import numpy as np

    return np.log(np.linspace(20_000, 200_000, 100_000) / 64_123.5).tobytes()


def runs():
    from numpy.lib.introspect import opt_func_info

    return opt_func_info(func_name="^exp$", signature="float64")["exp"]["dd"]["current"]


with Client(sys.argv[1]) as client:
    client.wait_for_workers(2)
    client.get_versions(check=True, packages=["numpy"])
    print("versions: nothing to complain of")
    for name, task in (("exp(-rate * tenor)", discounts), ("log(strike / forward)", moneyness)):
        answers = client.run(task)
        print(f"{name}: {len(set(answers.values()))} answers of {len(answers)} workers")
    print("what numpy says it runs:", sorted(client.run(runs).values()))
PYTHON

start() { "$folder/venv/bin/dask" "$@" --no-dashboard > /dev/null 2>&1 & }
port=18799
start scheduler --host 127.0.0.1 --port $port
start worker tcp://127.0.0.1:$port --nthreads 1 --no-nanny --local-directory "$folder"
NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_SKX" \
    start worker tcp://127.0.0.1:$port --nthreads 1 --no-nanny --local-directory "$folder"

"$folder/venv/bin/python" "$folder/ask.py" tcp://127.0.0.1:$port | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
versions: nothing to complain of
exp(-rate * tenor): 2 answers of 2 workers
log(strike / forward): 2 answers of 2 workers
what numpy says it runs: ['X86_V3', 'X86_V4']
EXPECTED
