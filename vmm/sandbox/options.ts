/** What a sandbox is asked to be, and what a container and its machine are made of for that. */
import { isAbsolute, posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { PullPolicy, ResolvedImage } from '../../image/resolve.ts';
import type { ImageStore } from '../../image/store/store.ts';
import type { AccelName } from '../machine/config.ts';
import { checkSecrets, type Secrets } from './secrets.ts';

const MEMORY_MIB = [32, 3072] as const;
const MOST_CPUS = 32;
const MOST_MS = 2 ** 31 - 1;

/** What a sandbox has at a path. */
export type SandboxVolume =
  /** A directory or file of the host. */
  | { readonly bind: string; readonly readOnly?: boolean | undefined }
  /** A named volume, which outlives sandboxes. It is made if there is none. */
  | { readonly named: string; readonly readOnly?: boolean | undefined }
  /** Memory; bytes. */
  | { readonly tmpfs: { readonly size?: number | undefined } };

/** Where the programs of a sandbox may go. Rules as in docs/networks.md: `api.example.org:443`, `*.example.org`, `10.0.0.0/8`. */
export interface SandboxNetwork {
  /** What holds where no rule matches; `deny`. */
  readonly egress?: 'allow' | 'deny' | undefined;
  readonly allow?: readonly string[] | undefined;
  /** Before those of `allow`. */
  readonly deny?: readonly string[] | undefined;
  /** What a name's rule lets in must be TLS for that name. */
  readonly strictSni?: boolean | undefined;
}

export interface SandboxOptions {
  /** A path, a name of the store or of a registry (`pull`), or what `resolveImage` gave. */
  readonly image: string | ResolvedImage;
  /** When a registry is asked for what is a name; `missing`. */
  readonly pull?: PullPolicy | undefined;
  readonly store?: ImageStore | undefined;
  /** Its name; what `Sandbox.connect` takes, of a detached one. */
  readonly name?: string | undefined;
  /** MiB of the machine; 512. */
  readonly memory?: number | undefined;
  /** A fraction is a share of one CPU's time; 1. */
  readonly cpus?: number | undefined;
  /** Over the image's. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly secrets?: Secrets | undefined;
  /** Who commands and files are, unless they say otherwise; the image's user. */
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly hostname?: string | undefined;
  /** `none`: the loopback interface alone, the default; `user`: everywhere. */
  readonly network?: 'none' | 'user' | SandboxNetwork | undefined;
  /** By the path in the sandbox. */
  readonly volumes?: Readonly<Record<string, SandboxVolume>> | undefined;
  /** The image's files cannot be changed. */
  readonly readOnly?: boolean | undefined;
  /** Bytes of the disk for what is changed, or `tmpfs`: half of the memory. As large as the host has room for, 16 GiB at most. */
  readonly scratch?: number | 'tmpfs' | undefined;
  /** How long it may live, ms. */
  readonly timeout?: number | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  readonly accel?: AccelName | undefined;
  /** In a process of its own, which goes on when this one ends (`Sandbox.connect`). */
  readonly detached?: boolean | undefined;
  /** Of a detached one: what it has changed stays when it has stopped, until `remove`; `Sandbox.connect` starts it again. */
  readonly persist?: boolean | undefined;
  /** Of a detached one: where containers are kept (docs/containers.md). */
  readonly root?: string | undefined;
}

function wrong(what: string, hint: string): VmmError {
  return new VmmError('USAGE', `Sandbox.create: ${what}`, { hint });
}

function checkNumber(name: string, value: number | undefined, least: number, most: number, whole: boolean): void {
  if (value === undefined) return;
  if (typeof value !== 'number' || !(value >= least && value <= most) || (whole && !Number.isInteger(value))) throw wrong(`${name}: ${String(value)} is not ${whole ? 'a whole number ' : ''}from ${least} to ${most}`, 'see docs/library.md');
}

/** Of a timeout. Throws USAGE. */
export function checkTimeout(value: number | undefined): void {
  checkNumber('timeout', value, 0, MOST_MS, false);
}

/** NAME=VALUE lines. A value is in no message: it may be a secret. Throws USAGE. */
export function environmentOf(env: Readonly<Record<string, string>> | undefined): string[] {
  return Object.entries(env ?? {}).map(([name, value]) => {
    if (name === '' || /[=\0]/.test(name)) throw wrong(`env: ${JSON.stringify(name)} is no name of a variable`, 'names have neither = nor NUL');
    if (typeof value !== 'string' || value.includes('\0')) throw wrong(`env: the value of ${name} is no text without NUL`, 'give a text');
    return `${name}=${value}`;
  });
}

/** Throws USAGE for what can be told before anything starts. */
export function checkOptions({ detached, persist, image, memory, cpus, env, secrets, workdir, user, hostname, volumes, timeout, scratch, name }: SandboxOptions): void {
  if (typeof image !== 'string' && typeof image?.rootfs !== 'string') throw wrong('image: a path or name is needed', "for example { image: 'python:3.13' }");
  if (persist === true && detached !== true) throw wrong('persist is for a detached sandbox', 'add detached: true');
  checkNumber('memory', memory, ...MEMORY_MIB, true);
  checkNumber('cpus', cpus, 0.01, MOST_CPUS, false);
  checkTimeout(timeout);
  if (scratch !== 'tmpfs') checkNumber('scratch', scratch, 64 << 20, Number.MAX_SAFE_INTEGER, true);
  environmentOf(env);
  checkSecrets(secrets);
  for (const [what, text] of Object.entries({ name, workdir, user, hostname })) if (text !== undefined && (typeof text !== 'string' || text.includes('\0'))) throw wrong(`${what} is no text without NUL`, 'give a text');
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw wrong(`name: ${name} is not a name`, 'letters, digits, _ . -');
  if (hostname !== undefined && !/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/.test(hostname)) throw wrong(`hostname: ${hostname} is not a host name`, 'letters, digits, dots and hyphens, at most 64');
  if (workdir !== undefined && !isAbsolute(workdir)) throw wrong(`workdir: ${workdir} is not an absolute path`, 'for example /work');
  for (const target of Object.keys(volumes ?? {})) {
    if (!target.startsWith('/') || target.includes('\0') || posix.normalize(target) === '/') throw wrong(`volumes: ${target} is no absolute path below the root`, 'for example /data');
  }
}
