#!/bin/bash
# Install deribit-lake and its collector on Debian 12, 13 or Ubuntu (24.04 or newer), as root.
#
#   deploy/install.sh [OPTIONS] [SOURCE]
#
# SOURCE is a checkout (the one this script lies in), a wheel or a source distribution. What it needs
# is installed in the versions requirements.lock pins, every hash checked. Run it again to upgrade:
# what is there already is left as it is, the settings in /etc/deribit-lake in any case.
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
unit=deribit-lake-collect.service
owner=deribit-lake
lib=/var/lib/deribit-lake cache=/var/cache/deribit-lake log=/var/log/deribit-lake
settings=/etc/deribit-lake
prefix=/opt/deribit-lake destdir='' python=python3 dry='' uninstall='' source=''
changes=0 stale=''

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
    check_source
    check_python
    make_user
    make_folders
    install_program
    place 0755 "$here/command.sh" /usr/local/bin/deribit-lake
    place_once 0644 "$here/deribit-lake.toml" "$settings/deribit-lake.toml"
    place_once 0600 "$here/environment" "$settings/environment"
    place 0644 "$here/systemd/$unit" "/etc/systemd/system/$unit"
    [ "$changes" != 0 ] || say "nothing to do: all is there"
    activate
}

activate() {
    if ! is_live; then return; fi
    [ -z "$stale" ] || change "systemd reads its units again" systemctl daemon-reload
    systemctl --quiet is-enabled "$unit" 2> /dev/null || change "started at boot" systemctl --quiet enable "$unit"
    [ -z "$stale" ] || ! systemctl --quiet is-active "$unit" || change "collector started again" systemctl restart "$unit"
    systemctl --quiet is-active "$unit" || say "next: edit $settings/deribit-lake.toml and $settings/environment, then: systemctl start ${unit%.service}"
}

uninstall_all() {
    local path
    if is_live && systemctl --quiet is-enabled "$unit" 2> /dev/null; then
        change "collector stopped" systemctl --quiet disable --now "$unit"
    fi
    for path in "/etc/systemd/system/$unit" /usr/local/bin/deribit-lake /etc/sysusers.d/deribit-lake.conf \
        "$prefix/releases" "$prefix/current"; do
        if [ -e "$destdir$path" ] || [ -L "$destdir$path" ]; then change "without $path" rm -rf "$destdir$path"; fi
    done
    [ -n "$dry" ] || rmdir "$destdir$prefix" 2> /dev/null || true # what else lies there is not ours
    if is_live && [ "$changes" != 0 ]; then change "systemd reads its units again" systemctl daemon-reload; fi
    say "kept: $lib, $log, $settings and the user $owner"
}

read_options "$@"
check_rights
if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
