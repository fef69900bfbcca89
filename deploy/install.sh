#!/bin/bash
# Install deribit-lake, its collector and its nightly timers on Debian 12, 13 or Ubuntu (24.04 or
# newer), as root.
#
#   deploy/install.sh [OPTIONS] [SOURCE]
#
# SOURCE is a checkout (the one this script lies in), a wheel or a source distribution. What it needs
# is installed in the versions requirements.lock pins, every hash checked. Run it again to upgrade:
# what is there already is left as it is, the settings in /etc/deribit-lake in any case. The collector
# and the nightly sync start at boot from then on; backup and restore drill do so as soon as the
# settings name a repository and this has been run again. A timer that you disabled stays so.
#
#   --prefix DIR    where the program goes (/opt/deribit-lake)
#   --destdir DIR   everything below DIR, as for a package or a test; the running system is left alone
#   --python FILE   the Python it runs on (python3), 3.11 or newer
#   --dry-run       say what would be done, and change nothing
#   --uninstall     remove program and units; keep the data, the logs, the settings and the user
#   --help          this text
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$here")
collector=deribit-lake-collect.service
nightly=(deribit-lake-sync.timer)
backups=(deribit-lake-backup.timer deribit-lake-drill.timer)
jobs=(deribit-lake-{sync,backup,drill}.{service,timer})
units=("$collector" "${jobs[@]}")
owner=deribit-lake
lib=/var/lib/deribit-lake cache=/var/cache/deribit-lake log=/var/log/deribit-lake
settings=/etc/deribit-lake repository=/var/backups/deribit-lake
stamps=/var/lib/systemd/timers # of timers that have run
prefix=/opt/deribit-lake destdir='' python=python3 dry='' uninstall='' source=''
changes=0 stale='' renewed=''

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }
change() { # WHAT COMMAND...: run it and say so; with --dry-run, say so
    changes=$((changes + 1))
    if [ -n "$dry" ]; then say "would: $1"; return; fi
    say "$1"
    "${@:2}"
}
is_live() { [ -z "$destdir" ] && [ -d /run/systemd/system ]; }

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix | --destdir | --python)
                [ $# -gt 1 ] || die "$1 expects a value"
                declare -g "${1#--}=${2%/}"
                shift ;;
            --dry-run) dry=yes ;;
            --uninstall) uninstall=yes ;;
            --help) usage; exit ;;
            -*) die "unknown option $1; --help lists them" ;;
            *) [ -z "$source" ] || die "one SOURCE expected, got $source and $1"; source=$1 ;;
        esac
        shift
    done
    [[ $prefix == /* ]] || die "--prefix $prefix: expected an absolute path"
    [[ -z $destdir || $destdir == /* ]] || die "--destdir $destdir: expected an absolute path"
    [[ $prefix$destdir != *[[:space:]\|\&\\]* ]] || die "a folder's name may hold no blank, |, & or \\"
    source=${source:-$checkout}
}

check_rights() {
    [ "$(id -u)" = 0 ] || [ -n "$destdir$dry" ] ||
        die "run as $(id -un), expected root (or --destdir DIR)"
}

check_source() {
    if [ -d "$source" ]; then
        [ -f "$source/pyproject.toml" ] || die "$source is no checkout of deribit-lake: no pyproject.toml"
        checkout=$source
    else
        [[ -f $source && $source =~ \.(whl|tar\.gz)$ ]] ||
            die "$source: expected a checkout, a wheel or a source distribution"
    fi
    [ -f "$checkout/requirements.lock" ] || die "no requirements.lock in $checkout"
}

check_python() {
    command -v "$python" > /dev/null || die "no $python: apt-get install python3 python3-venv"
    python=$(command -v "$python")
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" -V 2>&1), expected 3.11 or newer (--python FILE)"
    command -v uv > /dev/null || "$python" -c 'import ensurepip, venv' 2> /dev/null ||
        die "$python makes no virtual environments: apt-get install python3-venv"
}

# --- what is put in place ---------------------------------------------------------------------

make_user() {
    local rule=/etc/sysusers.d/deribit-lake.conf
    place 0644 "$here/systemd/deribit-lake.sysusers" "$rule"
    [ "$(id -u)" = 0 ] || return 0 # a --destdir of somebody else's
    grep -qs "^$owner:" "$destdir/etc/passwd" || change "user $owner" systemd-sysusers ${destdir:+--root="$destdir"} "${rule##*/}"
}

own() { # PATH: to the collector's user, as far as we may and it is there
    local ids
    ids=$(awk -F: -v name="$owner" '$1 == name { print $3 ":" $4 }' "$destdir/etc/passwd" 2> /dev/null) || true
    if [ "$(id -u)" != 0 ] || [ -z "$ids" ]; then return; fi
    [ "$(stat -c %u:%g "$1")" = "$ids" ] || chown "$ids" "$1"
}

folder() { # MODE PATH [own]
    local path=$destdir$2
    [ -d "$path" ] || change "folder $2" install -d -m "$1" "$path"
    if [ -n "${3:-}" ] && [ -d "$path" ] && [ -z "$dry" ]; then own "$path"; fi
}

place() { # MODE FILE PATH: a file of ours, with the prefix that was asked for
    local path=$destdir$3 text
    text=$(sed "s|/opt/deribit-lake|$prefix|g" "$2")
    if [ -f "$path" ] && [ "$text" = "$(cat "$path")" ] && [ "$(stat -c %a "$path")" = "${1#0}" ]; then return; fi
    change "file $3" write "$1" "$path" "$text"
    stale=yes
}

write() { # MODE PATH TEXT
    install -d "$(dirname "$2")"
    printf '%s\n' "$3" | install -m "$1" /dev/stdin "$2.new"
    mv -f "$2.new" "$2"
}

place_once() { # MODE FILE PATH: settings, never overwritten
    [ -e "$destdir$3" ] || place "$@"
}

make_folders() {
    folder 0755 "$settings"
    folder 0755 "$lib" own
    folder 0755 "$lib/lake" own
    folder 0750 "$cache" own
    folder 0750 "$cache/tmp" own
    folder 0750 "$log" own
    folder 0700 "$repository" own # where backups may go; elsewhere it takes a drop-in
}

# --- the program: a virtual environment per release, and a link to the current one --------------

release_name() { # of what is installed, the pins and the Python: the same again is no upgrade
    {
        "$python" -VV
        cat "$checkout/requirements.lock"
        if [ -d "$source" ]; then
            cd "$source"
            find etl lake quant validators sql cli.py pyproject.toml -type f ! -name '*.pyc' -print0 |
                LC_ALL=C sort -z | xargs -0 sha256sum
        else
            sha256sum < "$source"
        fi
    } | sha256sum | cut -c 1-12
}

build_release() { # FOLDER
    rm -rf "$1" # of a run that was stopped
    install -d "$(dirname "$1")"
    if command -v uv > /dev/null; then
        uv venv --quiet --python "$python" "$1"
        VIRTUAL_ENV=$1 uv pip sync --quiet --link-mode copy --compile-bytecode --require-hashes "$checkout/requirements.lock"
        VIRTUAL_ENV=$1 uv pip install --quiet --no-deps --no-build-isolation --compile-bytecode "$source"
    else
        "$python" -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$checkout/requirements.lock"
        PATH="$1/bin:$PATH" "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$source"
    fi
    "$1/bin/deribit-lake" --help > /dev/null
    touch "$1/complete"
}

switch_to() { # NAME: at one stroke, for a collector that starts just now
    ln -sfn "releases/$1" "$destdir$prefix/current.new"
    mv -fT "$destdir$prefix/current.new" "$destdir$prefix/current"
}

drop_releases() { # all but the new one and the one that runs until its restart
    local path
    for path in "$destdir$prefix"/releases/*; do
        case ${path##*/} in "$1" | "$2") ;; *) change "without release ${path##*/}" rm -rf "$path" ;; esac
    done
}

install_program() {
    local name before
    name=$(release_name)
    before=$(basename "$(readlink "$destdir$prefix/current" || true)")
    [ -e "$destdir$prefix/releases/$name/complete" ] ||
        change "release $name in $prefix" build_release "$destdir$prefix/releases/$name"
    [ "$before" != "$name" ] || return 0
    change "current release: $name" switch_to "$name"
    stale=yes
    [ ! -d "$destdir$prefix/releases" ] || drop_releases "$name" "$before"
}

# --- all together -----------------------------------------------------------------------------

install_all() {
    local one
    check_source
    check_python
    make_user
    make_folders
    install_program
    place 0755 "$here/command.sh" /usr/local/bin/deribit-lake
    place_once 0644 "$here/deribit-lake.toml" "$settings/deribit-lake.toml"
    place_once 0600 "$here/environment" "$settings/environment"
    place 0644 "$here/systemd/$collector" "/etc/systemd/system/$collector"
    renewed=$stale # what the collector runs; a unit of the night is no reason to start it again
    for one in "${jobs[@]}"; do place 0644 "$here/systemd/$one" "/etc/systemd/system/$one"; done
    [ "$changes" != 0 ] || say "nothing to do: all is there"
    activate
}

activate() {
    local wanted=("$collector" "${nightly[@]}") one
    if ! is_live; then return; fi
    [ -z "$stale" ] || change "systemd reads its units again" systemctl daemon-reload
    ! names_repository || wanted+=("${backups[@]}")
    for one in "${wanted[@]}"; do start_at_boot "$one"; done
    [ -z "$renewed" ] || ! is_up "$collector" || change "collector started again" systemctl restart "$collector"
    say_next "${wanted[@]}"
}

is_up() { systemctl --quiet is-active "$1"; }
is_enabled() { systemctl --quiet is-enabled "$1" 2> /dev/null; }

start_at_boot() { # UNIT; and at once, where the collector runs and this is new to it
    local now=()
    if is_enabled "$1" || [ -e "$stamps/stamp-$1" ]; then return; fi # it ran: somebody disabled it
    ! is_up "$collector" || now=(--now)
    change "${1%.service} started at boot" systemctl --quiet enable "${now[@]}" "$1"
}

names_repository() { # do the secrets or the settings?
    grep -qsE "^[[:space:]]*DERIBIT_LAKE_BACKUP__REPOSITORY=[\"']?[^[:space:]\"']" "$settings/environment" ||
        "$python" -c 'import sys, tomllib
sys.exit(not tomllib.load(open(sys.argv[1], "rb")).get("backup", {}).get("repository"))' \
            "$settings/deribit-lake.toml" 2> /dev/null
}

say_next() { # UNIT...: what is left to do by hand
    local one idle=() lacking=()
    for one in "$@"; do
        if is_enabled "$one" && ! is_up "$one"; then idle+=("${one%.service}"); fi
    done
    if names_repository; then
        command -v restic > /dev/null || lacking+=(restic)
        ! grep -qs '^DERIBIT_LAKE_DSN=.' "$settings/environment" || command -v pg_dump > /dev/null || lacking+=(postgresql-client)
    fi
    [ "${#lacking[@]}" = 0 ] || say "next: apt-get install ${lacking[*]}"
    [ "${#idle[@]}" = 0 ] || say "next: edit $settings/deribit-lake.toml and $settings/environment, then: systemctl start ${idle[*]}"
}

uninstall_all() {
    local path one
    if is_live; then stop_all; fi
    for path in "${units[@]/#//etc/systemd/system/}" /usr/local/bin/deribit-lake /etc/sysusers.d/deribit-lake.conf \
        "$prefix/releases" "$prefix/current"; do
        if [ -e "$destdir$path" ] || [ -L "$destdir$path" ]; then change "without $path" rm -rf "$destdir$path"; fi
    done
    [ -n "$dry" ] || rmdir "$destdir$prefix" 2> /dev/null || true # what else lies there is not ours
    if is_live && [ "$changes" != 0 ]; then change "systemd reads its units again" systemctl daemon-reload; fi
    say "kept: $lib, $log, $settings, $repository and the user $owner"
}

stop_all() { # timers first, so that they start nothing any more
    local one
    for one in "${nightly[@]}" "${backups[@]}" "$collector"; do
        ! is_enabled "$one" || change "${one%.service} disabled" systemctl --quiet disable "$one"
    done
    for one in "${nightly[@]}" "${backups[@]}" "${units[@]}"; do
        case $(systemctl show --value --property=ActiveState "$one") in
            inactive | failed) ;;
            *) change "${one%.service} stopped" systemctl stop "$one" ;;
        esac
        [ ! -e "$stamps/stamp-$one" ] || change "without $stamps/stamp-$one" rm "$stamps/stamp-$one"
    done
}

read_options "$@"
check_rights
if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
