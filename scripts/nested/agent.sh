#!/bin/sh
# PID 1 of the nested machine. Reads jobs from the virtio-serial port "ctl", one a line: TOKEN STDIN SCRIPT(base64);
# STDIN is "none" (the job gets /dev/null) or "port" (what comes through the port "in", until the host closes that).
# A job's output goes to the ports "out" and "err"; each gets TOKEN when the job's last writer has closed it, then
# "TOKEN STATUS" goes back on "ctl". A port takes one opener only, so jobs get pipes and `cat` pumps.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 VMM_NESTED=1
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666,mode=620 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd; ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
hostname nested
ip link set lo up
sysctl -q -w kernel.panic=-1 vm.overcommit_memory=1
if grep -qw nested=ata /proc/cmdline; then
  # Bochs has no such ports: one job, from the project disk; what it leaves in /run/out comes back on the second serial port.
  mkdir -p /run/out /run/disk
  mount -t ext4 -o ro /dev/sdb /run/disk && cp /run/disk/job /run/job && umount /run/disk
  sh /run/job >/run/out/stdout 2>/run/out/stderr </dev/null
  echo $? >/run/out/status
  stty -F /dev/ttyS1 raw 115200
  tar -C /run/out -cz . | base64 >/dev/ttyS1
  poweroff -f
fi
for port in /sys/class/virtio-ports/*; do eval "port_$(cat $port/name)=/dev/$(basename $port)"; done
exec 3<>$port_ctl 4>$port_out 5>$port_err 6<$port_in
# Warm the page cache with what nearly every job needs: the snapshot of this moment then holds it.
cat /usr/bin/node >/dev/null
node -e 0
mkfifo /run/in /run/out /run/err
echo ready >&3
while read -r token stdin script <&3; do
  echo "$script" | base64 -d >/run/job
  cat </run/out >&4 3>&- 5>&- 6<&- & out=$!
  cat </run/err >&5 3>&- 4>&- 6<&- & err=$!
  input=/dev/null pump=
  if [ "$stdin" = port ]; then
    # A job whose input were the port itself could not end while a read of it waits.
    input=/run/in
    cat <&6 >/run/in 3>&- 4>&- 5>&- & pump=$!
  fi
  sh /run/job >/run/out 2>/run/err <$input 3>&- 4>&- 5>&- 6<&-
  status=$?
  [ -n "$pump" ] && kill $pump
  wait $out $err
  printf %s "$token" >&4
  printf %s "$token" >&5
  echo "$token $status" >&3
done
poweroff -f
