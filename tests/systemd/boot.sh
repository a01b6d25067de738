#!/bin/sh
# Runs as the first process of new namespaces: makes the machine's root, then becomes its systemd.
# boot.sh ROOT WORK: ROOT is only read. WORK/add is laid over it; WORK/bind names directories of the
# host that are shown, for reading, one "from to" a line.
set -eu
root=$1 work=$2
mount --make-rprivate /
mkdir -p "$work/disk" "$work/machine"
mount -t tmpfs -o mode=755 tmpfs "$work/disk"
mkdir "$work/disk/upper" "$work/disk/work"
mount -t overlay -o "lowerdir=$root,upperdir=$work/disk/upper,workdir=$work/disk/work" \
    overlay "$work/machine"
cd "$work/machine"
cp -a "$work/add/." .
while read -r from to; do
    mkdir -p ".$to"
    mount --bind "$from" ".$to"
    mount -o remount,ro,bind ".$to"
done <"$work/bind"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# The kernel is the host's: what can be set in it is for looking at only.
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# A small disk of its own for the store, so that it can be filled.
mkdir -p var/lib/bridge110
mount -t tmpfs -o mode=755,size=32m tmpfs var/lib/bridge110
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p .host
pivot_root . .host
umount -l /.host
# As an ordinary machine's: systemd leaves it to whoever makes a container, and hands credentials
# over by a mount that must be seen outside the process that makes it.
mount --make-rshared /
exec env -i container=bridge110-test PATH=/usr/sbin:/usr/bin \
    /lib/systemd/systemd --system --unit=multi-user.target
