#!/bin/bash
# Builds the guest's kernel from Debian's source package, the same bytes from the same inputs and tools:
#   artifacts/vmlinux.zst    stripped ELF with a PVH note, zstd -19
#   artifacts/System.map.zst its symbols: the kernel has no names in it, an oops is read with them
#   artifacts/kernel.config  the whole configuration
#   artifacts/COPYING        licence and where the source is
#   artifacts/manifest.json  digests of the files, of the kernel unpacked and of each input; tool versions
# Usage: build.sh [--out DIR] [--work DIR] [--jobs N] [--debug-info] [--no-install] [--config-only]
#   --work        tree and objects (1.5 GB; default .cache/kernel); kept, so that a second build is incremental
#   --debug-info  DWARF in DIR/vmlinux.debug, for gdb; writes no artifacts (the build id differs, the code does not)
# The unstripped kernel and System.map go to .cache/guest/ (with --out: beside the artifacts).
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
package=linux-source-6.12
out=$here/../artifacts
guest=$root/.cache/guest
work=$root/.cache/kernel
jobs=$(nproc)
install=1 debug_info=0 config_only=0
while [ $# -gt 0 ]; do
	case $1 in
	--out) mkdir -p "$2"; out=$(cd "$2" && pwd); guest=$out; shift ;;
	--work) mkdir -p "$2"; work=$(cd "$2" && pwd); shift ;;
	--jobs) jobs=$2; shift ;;
	--debug-info) debug_info=1 ;;
	--no-install) install=0 ;;
	--config-only) config_only=1 ;;
	*) echo "build.sh: unknown option $1; see the head of this file" >&2; exit 2 ;;
	esac
	shift
done

needed=(gcc-12 binutils make libc6-dev flex bison bc libelf-dev zstd xz-utils patch perl nodejs "$package")
missing=()
for name in "${needed[@]}"; do
	[ "$name" = nodejs ] && command -v node >/dev/null && continue
	dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
	[ $install = 1 ] || { echo "build.sh: missing packages: ${missing[*]}" >&2; exit 1; }
	[ "$(id -u)" = 0 ] || { echo "build.sh: run as root once: apt-get install ${missing[*]}" >&2; exit 1; }
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
version=$(dpkg-query -W -f '${Version}' "$package")

# Nothing of this machine, of now or of the caller's environment in the kernel.
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
export KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC' KBUILD_BUILD_USER=vmm KBUILD_BUILD_HOST=vmm KBUILD_BUILD_VERSION=1
unset CFLAGS LDFLAGS KCFLAGS KAFLAGS MAKEFLAGS CROSS_COMPILE ARCH

# One tree per source version and driver; the stamp is written last.
driver=$here/tree/drivers/virt/vmm_power.c
patches=("$here/vmm-power.patch" "$here/vmm-start.patch")
source=$work/$package
stamp=$(printf '%s\n' "$version" "$(cat "${patches[@]}" | sha256sum)" | sha256sum | cut -c1-64)
mkdir -p "$work"
if [ "$(cat "$source.stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$source" "$source.stamp" "$source.tmp"
	mkdir "$source.tmp"
	tar -C "$source.tmp" --strip-components=1 -xf "/usr/src/$package.tar.xz"
	for patch in "${patches[@]}"; do
		patch -s -d "$source.tmp" -p1 --no-backup-if-mismatch <"$patch"
	done
	mv "$source.tmp" "$source"
	echo "$stamp" >"$source.stamp"
fi
cmp -s "$driver" "$source/drivers/virt/vmm_power.c" || cp "$driver" "$source/drivers/virt/vmm_power.c"

objects=$work/objects
fragments=("$here/vmm.config")
if [ $debug_info = 1 ]; then
	objects=$work/objects-debug
	fragments+=("$here/debug.config")
fi
mkdir -p "$objects"
make=(make -s -C "$source" "O=$objects" ARCH=x86_64 CC=gcc-12 HOSTCC=gcc-12 "-j$jobs")
if [ $debug_info = 1 ]; then
	make+=("KCFLAGS=-ffile-prefix-map=$source=.")
fi

"${make[@]}" tinyconfig >/dev/null
cat "${fragments[@]}" >>"$objects/.config"
"${make[@]}" olddefconfig 2>"$objects/olddefconfig.log" || { cat "$objects/olddefconfig.log" >&2; exit 1; }
# What a fragment asks for and a dependency refused would be a silent hole.
bad=0
while read -r line; do
	case $line in
	CONFIG_*) grep -qxF -- "$line" "$objects/.config" || { echo "build.sh: not in force: $line" >&2; bad=1; } ;;
	'# CONFIG_'*' is not set')
		name=${line#\# } name=${name% is not set}
		! grep -q "^$name=" "$objects/.config" || { echo "build.sh: not in force: $line" >&2; bad=1; } ;;
	esac
done < <(cat "${fragments[@]}")
[ $bad = 0 ] || exit 1
[ $config_only = 0 ] || exit 0

"${make[@]}" vmlinux
grep -q ' vmm_power_init$' "$objects/System.map" || { echo "build.sh: vmm_power is not in the kernel" >&2; exit 1; }
mkdir -p "$out" "$guest"
if [ $debug_info = 1 ]; then
	cp "$objects/vmlinux" "$guest/vmlinux.debug"
	exit 0
fi
strip --strip-all --remove-section=.comment -o "$objects/vmlinux.stripped" "$objects/vmlinux"
zstd -q -19 -f "$objects/vmlinux.stripped" -o "$out/vmlinux.zst"
zstd -q -19 -f "$objects/System.map" -o "$out/System.map.zst"
# Without the lines that name tools: they are in the manifest.
grep -v -e '^CONFIG_CC_VERSION_TEXT' "$objects/.config" >"$out/kernel.config"
{
	sed "s/@VERSION@/$version/" "$here/COPYING.head"
	cat "$source/COPYING" "$source/LICENSES/preferred/GPL-2.0" "$source/LICENSES/exceptions/Linux-syscall-note"
} >"$out/COPYING"
node "$here/manifest.mjs" "$out" "$objects/vmlinux.stripped" "$objects/System.map" "$package" "$version"
for pair in vmlinux.stripped:vmlinux vmlinux:vmlinux.debug System.map:System.map; do
	cp "$objects/${pair%%:*}" "$guest/${pair##*:}.tmp"
	mv "$guest/${pair##*:}.tmp" "$guest/${pair##*:}"
done
