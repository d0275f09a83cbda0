#!/bin/sh
# Builds init and the artifacts that hold it, the same bytes from the same sources:
#   guest-kernel/artifacts/initramfs.cpio     /init, /dev/console, empty directories
#   guest-kernel/artifacts/scratch-*.seed.zst empty file systems of scratch disks
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
sources=$(cat ./*.c ./*.h ./build.sh ./mkinitramfs.mjs seed/mkseed.c | sha256sum | cut -c1-64)
# UAPI headers of the distribution after musl's own. -z noseparate-code: no page of padding between segments.
musl-gcc -std=gnu11 -Os -static -s -Wall -Wextra -Werror \
	-fno-asynchronous-unwind-tables -fno-ident -ffunction-sections -fdata-sections -fno-stack-protector \
	-ffile-prefix-map="$here"=. -DINIT_BUILD="\"$(echo "$sources" | cut -c1-12)\"" \
	-idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
	-Wl,--gc-sections,--build-id=none,-z,noseparate-code,-z,norelro,--hash-style=gnu \
	-o "$work/init" ./*.c

# Empty file systems for scratch disks. The smallest can grow to whatever --scratch asks for: its size is the least that the groups' layout
# allows, and it has room for the descriptors of 256 GiB. Growing takes the guest a while, so the others are as large as they are going to be.
# lazy_*: zeros stay holes.
musl-gcc -std=gnu11 -O1 -static -Wall -Wextra -Werror -o "$work/mkseed" seed/mkseed.c
features=has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
seed() {
	truncate -s "$1" "$work/$1"
	E2FSPROGS_FAKE_TIME=1 mke2fs -q -F -t ext4 -b 4096 -I 256 -i 16384 -m 0 -J size=16 -O "$features,$2" \
		-U 766d6d00-7363-7261-7463-680000000001 \
		-E "${3}hash_seed=766d6d00-7363-7261-7463-680000000002,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0,nodiscard" \
		"$work/$1"
	"$work/mkseed" "$work/$1" > "$work/scratch-$1.seed"
	zstd -q -19 -f "$work/scratch-$1.seed" -o "$out/scratch-$1.seed.zst"
}
seed 64m resize_inode resize=67108864,
seed 1g ^resize_inode,sparse_super2 ""
seed 4g ^resize_inode,sparse_super2 ""
seed 16g ^resize_inode,sparse_super2 ""

node mkinitramfs.mjs "$work/init" "$work" "$out" "$sources"
