#!/bin/bash
# deribit-lake as the collector and the timers run it: their user, settings, credit bucket.
#
# Root becomes that user, and has the secrets; anybody else may look at the lake, without them.
set -euo pipefail
program=/opt/deribit-lake/current/bin/deribit-lake
settings=/etc/deribit-lake/deribit-lake.toml
secrets=/etc/deribit-lake/environment

if [ "$(id -u)" = 0 ]; then
    while IFS= read -r line || [ -n "$line" ]; do # as systemd reads it, not as a shell: $ and & are themselves
        [[ $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
        name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
        export "$name=$value"
    done < "$secrets"
    export HOME=/var/lib/deribit-lake TMPDIR=/var/cache/deribit-lake/tmp
    export NUMBA_CACHE_DIR=/var/cache/deribit-lake/numba RESTIC_CACHE_DIR=/var/cache/deribit-lake/restic
    cd "$HOME" # reports go there: where root stands, that user may not write
    exec setpriv --reuid=deribit-lake --regid=deribit-lake --init-groups -- \
        "$program" --config "$settings" "$@"
fi
export DERIBIT_LAKE_LOG_DIR=${DERIBIT_LAKE_LOG_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/deribit-lake}
exec "$program" --config "$settings" "$@"
