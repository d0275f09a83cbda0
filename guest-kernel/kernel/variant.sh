#!/bin/bash
# Builds the guest's kernel with other options, for measurements beside other VMMs: .cache/guest/vmlinux.NAME, by NAME.config
# over vmm.config. Not an artifact: nothing of it is shipped, and build.sh does not know of it.
# Usage: variant.sh NAME [--work DIR] [--jobs N]
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
name=${1:?variant.sh: which variant? a NAME for which there is NAME.config}
[ -f "$here/$name.config" ] || { echo "variant.sh: $here/$name.config is not there" >&2; exit 2; }
shift
work=$root/.cache/kernel
jobs=$(nproc)
while [ $# -gt 0 ]; do
	case $1 in
	--work) work=$2; shift ;;
	--jobs) jobs=$2; shift ;;
	*) echo "variant.sh: unknown option $1; see the head of this file" >&2; exit 2 ;;
	esac
	shift
done

# The tree with our changes, and the configuration without the variant.
"$here/build.sh" --work "$work" --config-only
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
export KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC' KBUILD_BUILD_USER=vmm KBUILD_BUILD_HOST=vmm KBUILD_BUILD_VERSION=1
unset CFLAGS LDFLAGS KCFLAGS KAFLAGS MAKEFLAGS CROSS_COMPILE ARCH
objects=$(cd "$work" && pwd)/objects-$name
mkdir -p "$objects"
cat "$work/objects/.config" "$here/$name.config" >"$objects/.config"
make=(make -s -C "$(cd "$work" && pwd)/linux-source-6.12" "O=$objects" ARCH=x86_64 CC=gcc-12 HOSTCC=gcc-12 "-j$jobs")
"${make[@]}" olddefconfig 2>"$objects/olddefconfig.log" || { cat "$objects/olddefconfig.log" >&2; exit 1; }
bad=0
while read -r line; do
	case $line in
	CONFIG_*) grep -qxF -- "$line" "$objects/.config" || { echo "variant.sh: not in force: $line" >&2; bad=1; } ;;
	esac
done <"$here/$name.config"
[ $bad = 0 ] || exit 1
"${make[@]}" vmlinux
mkdir -p "$root/.cache/guest"
strip --strip-all --remove-section=.comment -o "$root/.cache/guest/vmlinux.$name" "$objects/vmlinux"
