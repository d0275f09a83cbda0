#!/bin/sh
# Builds init and the artifacts that hold it, the same bytes from the same sources:
#   guest-kernel/artifacts/initramfs.cpio     /init, /dev/console, empty directories
#   guest-kernel/artifacts/scratch.ext4.zst   the seed of --scratch disks
#   guest-kernel/artifacts/manifest-init.json digests of both, of /init and of the sources
# Usage: build.sh [OUTPUT_DIRECTORY]. Needs musl-tools, linux-libc-dev, e2fsprogs, zstd, node.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../artifacts}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0

cd "$here"
sources=$(cat ./*.c ./*.h ./build.sh ./mkinitramfs.mjs | sha256sum | cut -c1-64)
# UAPI headers of the distribution after musl's own. -z noseparate-code: no page of padding between segments.
musl-gcc -std=gnu11 -Os -static -s -Wall -Wextra -Werror \
	-fno-asynchronous-unwind-tables -fno-ident -ffunction-sections -fdata-sections -fno-stack-protector \
	-ffile-prefix-map="$here"=. -DINIT_BUILD="\"$(echo "$sources" | cut -c1-12)\"" \
	-idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
	-Wl,--gc-sections,--build-id=none,-z,noseparate-code,-z,norelro,--hash-style=gnu \
	-o "$work/init" ./*.c

# The size of the seed is the least that the groups' layout allows; init grows it to its device.
# resize=: room for the descriptors of 256 GiB. lazy_*: zeros stay holes.
seed=$work/scratch.ext4
truncate -s 64M "$seed"
E2FSPROGS_FAKE_TIME=1 mke2fs -q -F -t ext4 -b 4096 -I 256 -i 16384 -m 0 -J size=16 \
	-O has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize,resize_inode \
	-U 766d6d00-7363-7261-7463-680000000001 \
	-E resize=67108864,hash_seed=766d6d00-7363-7261-7463-680000000002,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0,nodiscard \
	"$seed"
zstd -q -19 -f "$seed" -o "$out/scratch.ext4.zst"

node mkinitramfs.mjs "$work/init" "$seed" "$out" "$sources"
