#!/bin/bash
# Become the first process of a machine of its own: a systemd on a throw-away copy of this one's files.
#
#   unshare --mount --pid --cgroup --uts --ipc --fork boot.sh FOLDER [ROOT]
#
# ROOT is another root than this machine's, which it is a copy of instead. What it writes goes to memory mounted at FOLDER. It has this machine's network and clock, and may
# set neither; of the services installed here it starts none.
set -euo pipefail
shopt -s nullglob
folder=$1 root=$1/root below=${2:-/}
mount --make-rprivate /
mount -t tmpfs -o size=4g tmpfs "$folder"
mkdir "$folder"/{written,work,root}
mount -t overlay overlay -o "lowerdir=$below,upperdir=$folder/written,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root"/dev/{shm,pts,mqueue} # those three a PrivateDevices takes over
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t mqueue mqueue "$root/dev/mqueue"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
cp -L /etc/resolv.conf "$root/run/resolv.conf" 2> /dev/null || true # where it may lead into /run
[ "$below" = / ] || cp -L --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/"

rm -rf "$root"/etc/systemd/system/*
: > "$root/etc/fstab"
for unit in "$root"/lib/systemd/system/{sysinit,basic,sockets,local-fs}.target.wants/*; do
    case ${unit##*/} in
        systemd-journald*) ;;
        *) ln -sf /dev/null "$root/etc/systemd/system/${unit##*/}" ;;
    esac
done

mkdir -p "$root/left"
cd "$root"
pivot_root . left
umount -l /left
exec env -i container=own PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-sys_boot,-net_admin -- \
    /lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=0
