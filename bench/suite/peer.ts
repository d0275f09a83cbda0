/** What a peer is: a program that starts machines or containers, by its command lines. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { guestFile } from '../../vmm/api/machine.ts';
import { ROOT } from '../harness.ts';
import { folder } from '../start/process.ts';
import type { Conditions } from './log.ts';
import { MICRO_INIT, markedEcho } from './marks.ts';

/** In the order in which they are measured. */
export const SCENARIOS = {
  boot: 'a kernel, up to the output of its init',
  start: 'one whole start that says nothing, against an empty script of Node’s',
  container: 'a container that says a word',
  python: 'a container that says it by Python',
  'large-warm': 'a container whose image has 100 MB more, all in the page cache',
  'large-cold': 'the same, nothing of the image in the page cache',
  pod: 'a pod of one app',
  exec: 'one more process in a container that runs',
  stop: 'the end of a container that runs',
  'many-10': '10 starts at once',
  'many-50': '50 starts at once',
  'many-100': '100 starts at once',
  present: 'a start with others present that idle',
  memory: 'what an idle container takes, and one more beside it',
  counts: 'system calls, and of machines instructions and exits',
  micro: 'core and devices: what a guest’s own shell does, between its marks',
} as const;
export type Scenario = keyof typeof SCENARIOS;
export const NAMES = Object.keys(SCENARIOS) as Scenario[];
/** What `--quick` leaves out. */
export const SLOW: readonly Scenario[] = ['large-cold', 'large-warm', 'many-50', 'many-100', 'python', 'micro'];

/** What the guest or container says. */
export const WORD = 'bench-suite-word';

/** Containers that live beyond the command that started them. */
export interface Background {
  start(id: string): readonly string[];
  /** Says WORD from within. */
  exec(id: string): readonly string[];
  stop(id: string): readonly string[];
  remove(id: string): readonly string[];
}

export interface Peer {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  /** What prints its version; its first word has to be there. */
  readonly version: readonly string[];
  /** Never run on a real binary: nothing is measured with it. */
  readonly unverified?: true;
  /** Its command line prints WORD; for `memory` it then stays. `id` is new for each run. */
  command(scenario: Scenario, id: string): readonly string[];
  /** For `counts`: a command line whose --timeline has instructions, and the library that traces exits. */
  readonly counted?: { readonly command: () => readonly string[]; readonly library: string };
  readonly background?: Background;
  /** Files that `large-cold` takes out of the page cache before each start. */
  cold?(): readonly string[];
  conditions(scenario: Scenario): Conditions;
}

export const MEMORY = 512;
const LINE = 'console=hvc0 quiet panic=-1 reboot=t tsc=reliable root=/dev/vda ro init=';
export const lineOf = (scenario: Scenario): string => `${LINE}${scenario === 'micro' ? MICRO_INIT : markedEcho(WORD)}`;
export const VMM = [process.execPath, '--', join(ROOT, 'bin', 'vmm.js')];

/** A built vmm that is measured. */
export interface Program {
  /** After `vmm wasm`, in the peer's name. */
  readonly suffix: string;
  readonly command: readonly string[];
  readonly store: string;
}

export const HERE: Program = { suffix: '', command: VMM, store: join(folder, 'store') };

export const kernel = (): string => guestFile('vmlinux');
const sha = (path: string): string => execFileSync('sha256sum', [path], { encoding: 'utf8', timeout: 60_000 }).slice(0, 12);

let digest: string | undefined;
export function machine(scenario: Scenario): Conditions {
  digest ??= sha(kernel());
  return { kernel: `sha256 ${digest}`, memoryMib: MEMORY, vcpus: 1, commandLine: lineOf(scenario), root: `EROFS of busybox${scenario === 'micro' ? ' and 16 MB' : ''}` };
}

/** A container has no kernel of its own where the host's runs it: figures with other kernels are asked for, the words say so. */
export const container = (scenario: Scenario): Conditions => ({ kernel: 'any', memoryMib: 0, vcpus: 1, commandLine: '', root: scenario === 'python' ? "the host's Python" : scenario.startsWith('large') ? 'busybox and 100 MB' : 'busybox' });

/** What a container executes. */
export function inside(scenario: Scenario): string[] {
  if (scenario === 'python') return ['/usr/bin/python3', '-c', `print("${WORD}")`];
  if (scenario === 'memory') return ['/bin/busybox', 'sh', '-c', `echo ${WORD}; exec /bin/busybox sleep 1000`];
  return ['/bin/busybox', 'echo', WORD];
}

/** What one executes that lives on until it is told to end. */
export const IDLE = ['/bin/busybox', 'sh', '-c', 'trap "exit 0" TERM; while :; do /bin/busybox sleep 1000 & wait $!; done'];
