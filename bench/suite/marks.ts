/**
 * Marks: bytes that the guest itself writes to port 0x601 at a clock point, so that one guest times every VMM. A vmm stamps them in its --timeline; QEMU's
 * `isa-debugcon` passes them on to a socket, where the suite stamps them.
 */
import type { Phase } from './log.ts';

/** Where a peer connects to, to tell its marks: a socket whose path ends so, in its command line. */
export const MARKS = '.marks';

/** Phases of the micro benches, each a command of /bin/busybox, by the mark that ends it. */
const STEPS: readonly (readonly [mark: string, name: string, script: string])[] = [
  ['a', 'the shell has begun', ''],
  ['b', 'shell: 20,000 turns of a loop', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'],
  ['c', 'SHA-256 of 4 MiB', '$B head -c 4194304 /dev/zero | $B sha256sum >/dev/null'],
  ['d', '50 processes', 'i=0; while [ $i -lt 50 ]; do $B true; i=$((i+1)); done'],
  ['e', 'memory: 32 MiB written', '$B dd if=/dev/zero of=/tmp/file bs=1M count=32 2>/dev/null'],
  ['f', 'disk: 500 reads of 4 KiB', '$B dd if=/dev/vda of=/dev/null bs=4k count=500 iflag=direct 2>/dev/null'],
  ['g', 'disk: 8 MiB in reads of 1 MiB', '$B dd if=/dev/vda of=/dev/null bs=1M count=8 iflag=direct 2>/dev/null'],
  ['h', 'console: 256 lines of 64 bytes', 'i=0; while [ $i -lt 256 ]; do echo 012345678901234567890123456789012345678901234567890123456789012; i=$((i+1)); done'],
  ['i', 'timer: 20 sleeps of 1 ms', 'i=0; while [ $i -lt 20 ]; do $B usleep 1000; i=$((i+1)); done'],
];

export const INIT_MARK = '@';
/** What `init=` is: marks itself, then says `word`. */
export const markedEcho = (word: string): string => `/bin/mark ${INIT_MARK} /bin/busybox echo ${word}`;
/** What `init=` is for the micro benches. */
export const MICRO_INIT = `/bin/mark ${INIT_MARK} /bin/busybox sh /micro`;

/** The script of `MICRO_INIT`; it says `word` at its end. */
export function microScript(word: string): string {
  const steps = STEPS.flatMap(([mark, , script]) => [...(script === '' ? [] : [script]), `/bin/mark ${mark}`]);
  return ['B=/bin/busybox', '$B mount -t devtmpfs none /dev 2>/dev/null', '$B mount -t tmpfs none /tmp', ...steps, `echo ${word}`, ''].join('\n');
}

const INIT = 'init: main';
const NAMES: ReadonlyMap<string, string> = new Map([[INIT_MARK, INIT], ...STEPS.map(([mark, name]) => [mark, name] as const)]);

/** Of bytes that came with their times, ms since the start. */
export function phasesOfMarks(marks: readonly (readonly [byte: number, ms: number])[]): Phase[] {
  return marks.map(([byte, ms], i) => ({ name: NAMES.get(String.fromCharCode(byte)) ?? `mark 0x${byte.toString(16)}`, ms: ms - (marks[i - 1]?.[1] ?? 0) }));
}

/** A vmm's own words for marks that it does not know. */
export function namedPhases(phases: readonly Phase[]): Phase[] {
  return phases.map(({ name, ms }) => {
    const byte = /^guest: mark 0x([0-9a-f]+)$/.exec(name)?.[1];
    return { name: (byte === undefined ? undefined : NAMES.get(String.fromCharCode(Number.parseInt(byte, 16)))) ?? name, ms };
  });
}

/** `init: main ms`: since the start; of each micro bench its own time. */
export function figuresOfMarks(phases: readonly Phase[]): Record<string, number> {
  const figures: Record<string, number> = {};
  let at = 0;
  for (const { name, ms } of phases) {
    at += ms;
    if (name === INIT) figures[`${name} ms`] = at;
    else if (STEPS.some(([, step, script]) => step === name && script !== '')) figures[`${name} ms`] = ms;
  }
  return figures;
}
