/** Loads whose output is not the same twice, so that they are judged by what they must say: stress-ng and a filled disk. */

/**
 * `stress-ng` for some seconds; --verify makes it check its own results. The `vm` stressor counts whole passes over its
 * memory: with 64 MiB none ends in a minute on a loaded machine.
 */
export const stress = (seconds: number): string =>
  `stress-ng --cpu 2 --vm 2 --vm-bytes 8m --futex 2 --cyclic 1 --cyclic-policy rr --verify --metrics-brief --timeout ${seconds}s 2>&1; echo "status $?"`;

/** The scheduling policy of `cyclic` needs the capability. (Its default, SCHED_DEADLINE with 90 % of a CPU, the kernel refuses on one CPU.) */
export const STRESS_OPTIONS = ['--cap-add', 'SYS_NICE'];

/** Every stressor has done something, none found a wrong result. */
export const STRESS_EXPECT = / cpu +[1-9][\s\S]* vm +[1-9][\s\S]* futex +[1-9][\s\S]* cyclic +[1-9][\s\S]*successful run completed[\s\S]*status 0\n$/;

/** Writes, renames and removes files in /w without end; says a number after each sync. */
export const FILL = `mkdir /w; cd /w; n=0
while :; do
  n=$((n + 1)); d=d$((n % 17)); mkdir -p $d
  head -c $((n * 977 % 100000)) /dev/urandom >$d/f$((n % 101)); ln -f $d/f$((n % 101)) h$((n % 29)); mv $d/f$((n % 101)) g$((n % 53))
  [ $((n % 7)) = 0 ] && rm -rf d$((n * 5 % 17))
  [ $((n % 20)) = 0 ] && sync && echo "at $n"
done`;

/**
 * A shell script: a container fills its scratch disk, `vmm` is killed with SIGKILL in the midst of it, and the disk's journal
 * is replayed as a mount would; then e2fsck must find nothing to mend. Status 0: clean.
 * @param vmm command and arguments of `vmm run --scratch … FILL`
 */
export const killAndCheck = (vmm: string): string => `
export VMM_TMPDIR=$(mktemp -d) || exit 20
${vmm} >"$VMM_TMPDIR/out" &
pid=$!
until grep -q '^at 100$' "$VMM_TMPDIR/out"; do kill -0 $pid || exit 21; sleep 0.2; done
# The disk has no name: a descriptor of ours keeps it when the VMM's is gone.
for fd in /proc/$pid/fd/*; do case $(readlink "$fd") in "$VMM_TMPDIR"/*deleted*) exec 9<>"$fd" ;; esac; done
kill -9 $pid
wait $pid
set -- /proc/$$/fd/9
e2fsck -E journal_only -y "$1" && e2fsck -fn "$1"
status=$?
debugfs -R 'ls -l /' "$1" 2>/dev/null
rm -rf "$VMM_TMPDIR"
exit $status`;

/** What killAndCheck prints when the disk was in use, had a journal to replay, and is clean. */
export const CHECKED = /recovering journal[\s\S]*Pass 5: Checking group summary information/;
