#!/bin/sh
# PID 1 of a lab container: gives systemd the mounts that it needs, then becomes systemd.
# Runs with SYS_ADMIN and NET_ADMIN as named capabilities, never with --privileged.
set -eu

# A cgroup v1 or hybrid host: systemd 257 refuses v1, so this container gets a v2 tree of its own.
# On a v2 host Docker has mounted one already; it only has to be writable.
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -R -l /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    mount -o remount,rw /sys/fs/cgroup 2>/dev/null || true
fi
# Docker mounts /proc/sys read-only; the roles set net.* values, which are this network namespace's own.
mount -o remount,rw /proc/sys 2>/dev/null || true

export container=docker
exec /lib/systemd/systemd --log-target=journal
