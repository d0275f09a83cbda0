#!/bin/busybox sh
# /init of the nested machine's initramfs: modules in their order, then the real root (read-only disk below a tmpfs).
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
vendor=kvm-amd disk=/dev/vda ata=
/bin/busybox grep -qw vmx /proc/cpuinfo && vendor=kvm-intel
/bin/busybox grep -qw nested=ata /proc/cmdline && disk=/dev/sda ata=$(/bin/busybox cat /modules/order-ata)
for module in $(/bin/busybox cat /modules/order) $vendor $ata; do /bin/busybox insmod "/modules/$module.ko" || echo "nested: insmod $module failed"; done
tries=0
while [ ! -b $disk ] && [ $tries -lt 500 ]; do /bin/busybox usleep 10000; tries=$((tries + 1)); done
/bin/busybox mount -t ext4 -o ro $disk /lower || exec /bin/busybox sh -c 'echo "nested: no root disk"; /bin/busybox poweroff -f'
/bin/busybox mount -t tmpfs -o mode=755 tmpfs /upper
/bin/busybox mkdir /upper/upper /upper/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work overlay /root || exec /bin/busybox sh -c 'echo "nested: no overlay"; /bin/busybox poweroff -f'
/bin/busybox mount --move /proc /root/proc
/bin/busybox mount --move /sys /root/sys
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/agent
