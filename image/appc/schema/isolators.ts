import { shown } from './context.ts';
import type { Fields } from './fields.ts';
import { checkAcIdentifier } from './names.ts';
import { parseQuantity, type Quantity } from './quantity.ts';

/** An isolator as it stands in a manifest; its value has been checked when its name is known. */
export interface Isolator {
  readonly name: string;
  readonly value: unknown;
}

export const RETAIN_CAPABILITIES = 'os/linux/capabilities-retain-set';
export const REMOVE_CAPABILITIES = 'os/linux/capabilities-remove-set';
export const RETAIN_CALLS = 'os/linux/seccomp-retain-set';
export const REMOVE_CALLS = 'os/linux/seccomp-remove-set';

type Scope = 'app' | 'pod';

interface Kind {
  readonly scopes: readonly Scope[];
  /** At most one of it. */
  readonly single?: true;
  check(isolator: Fields): void;
}

const BOTH: readonly Scope[] = ['app', 'pod'];
const APP: readonly Scope[] = ['app'];

/** The specification's isolators (0.8.11, and AppArmor's of its master). */
const KINDS: Readonly<Record<string, Kind>> = {
  'resource/memory': { scopes: BOTH, check: (isolator) => void resource(isolator, false) },
  'resource/cpu': { scopes: BOTH, check: (isolator) => void resource(isolator, false) },
  'resource/block-bandwidth': { scopes: BOTH, check: (isolator) => void resource(isolator, true) },
  'resource/block-iops': { scopes: BOTH, check: (isolator) => void resource(isolator, true) },
  'resource/network-bandwidth': { scopes: BOTH, check: (isolator) => void resource(isolator, true) },
  [RETAIN_CAPABILITIES]: { scopes: APP, check: capabilities },
  [REMOVE_CAPABILITIES]: { scopes: APP, check: capabilities },
  'os/linux/no-new-privileges': { scopes: APP, check: (isolator) => void isolator.boolean('value') },
  [RETAIN_CALLS]: { scopes: APP, single: true, check: seccomp },
  [REMOVE_CALLS]: { scopes: APP, single: true, check: seccomp },
  'os/linux/oom-score-adj': { scopes: APP, single: true, check: (isolator) => between(isolator, -1000, 1000) },
  'os/linux/cpu-shares': { scopes: APP, single: true, check: (isolator) => between(isolator, 2, 262_144) },
  'os/linux/selinux-context': { scopes: BOTH, single: true, check: (isolator) => strings(isolator, ['user', 'role', 'type', 'level']) },
  'os/linux/apparmor-profile': { scopes: BOTH, single: true, check: (isolator) => strings(isolator, ['profile']) },
  'os/unix/sysctl': { scopes: ['pod'], single: true, check: (isolator) => void isolator.stringMap('value') },
};

/** Reads a list of isolators of an app or of a pod. */
export function parseIsolators(fields: Fields, key: string, scope: Scope): Isolator[] {
  const isolators = fields.objects(key).map((isolator) => parseIsolator(isolator, scope));
  const count = (name: string): number => isolators.filter((isolator) => isolator.name === name).length;
  for (const [name, { single }] of Object.entries(KINDS)) if (single === true && count(name) > 1) throw fields.bad(key, `has ${count(name)} of ${name}`);
  if (count(RETAIN_CALLS) + count(REMOVE_CALLS) > 1) throw fields.bad(key, `has both ${RETAIN_CALLS} and ${REMOVE_CALLS}`);
  if (count(RETAIN_CAPABILITIES) > 0 && count(REMOVE_CAPABILITIES) > 0) fields.warn(key, `has both ${RETAIN_CAPABILITIES} and ${REMOVE_CAPABILITIES}`);
  return isolators;
}

function parseIsolator(isolator: Fields, scope: Scope): Isolator {
  const name = checkAcIdentifier(isolator.string('name'), isolator.at('name'), isolator.context);
  const kind = isKnownIsolator(name) ? KINDS[name] : undefined;
  const value = isolator.raw('value') ?? null;
  if (kind === undefined) {
    if (scope === 'app' && !isolator.context.keepUnknownIsolators) throw isolator.bad('name', `${shown(name)} is no isolator that is known`);
    isolator.warn('name', `${shown(name)} is no isolator that is known`);
    return { name, value };
  }
  if (!kind.scopes.includes(scope)) isolator.warn('name', `${name} is none of ${scope === 'app' ? 'an app' : 'a pod'}`);
  kind.check(isolator);
  return { name, value };
}

export function isKnownIsolator(name: string): boolean {
  return Object.hasOwn(KINDS, name);
}

/** What a resource isolator asks for. */
export interface Resource {
  readonly request: Quantity | undefined;
  readonly limit: Quantity | undefined;
}

function resource(isolator: Fields, hasDefault: boolean): Resource {
  const value = isolator.object('value');
  const quantity = (key: string): Quantity | undefined => {
    const raw = value?.raw(key);
    if (raw === undefined) return undefined;
    const parsed = parseQuantity(raw);
    if (parsed === undefined) throw isolator.bad(`value.${key}`, `${shown(String(raw))} is no quantity (128Mi, 500m, 1e3)`);
    if (/K$/.test(parsed.text)) isolator.warn(`value.${key}`, `${shown(parsed.text)}: the reference's code knows k, not K`);
    if (parsed.nano < 0n) isolator.warn(`value.${key}`, `${shown(parsed.text)} is negative`);
    return parsed;
  };
  const isDefault = value?.boolean('default') ?? false;
  const request = quantity('request');
  const limit = quantity('limit');
  if (isDefault !== hasDefault) throw isolator.bad('value.default', hasDefault ? 'must be true' : 'must be false');
  if (hasDefault && request !== undefined) throw isolator.bad('value.request', 'is not known to this resource');
  if (request === undefined && limit === undefined) isolator.warn('value', 'has neither request nor limit');
  return { request, limit };
}

function capabilities(isolator: Fields): void {
  const set = isolator.object('value')?.strings('set') ?? [];
  if (set.length === 0) throw isolator.bad('value.set', 'is empty');
  for (const name of set) if (!/^CAP_[A-Z_]+$/.test(name)) isolator.warn('value.set', `${shown(name)} is no capability`);
}

function seccomp(isolator: Fields): void {
  const value = isolator.object('value');
  const set = value?.strings('set') ?? [];
  if (set.length === 0) throw isolator.bad('value.set', 'is empty');
  const errno = value?.string('errno') ?? '';
  if (errno !== '' && !/^E[A-Z0-9]*$/.test(errno)) throw isolator.bad('value.errno', `${shown(errno)} is no name of an error (EPERM)`);
  for (const name of set) if (!/^(@[\w.~/-]+|[a-z0-9_]+)$/.test(name)) isolator.warn('value.set', `${shown(name)} is no system call`);
}

function between(isolator: Fields, least: number, most: number): void {
  const value = isolator.integer('value', least) ?? 0;
  if (value < least || value > most) throw isolator.bad('value', `${value} is not between ${least} and ${most}`);
}

function strings(isolator: Fields, keys: readonly string[]): void {
  const value = isolator.object('value');
  if (value === undefined) throw isolator.bad('value', 'is missing');
  for (const key of keys) if (value.string(key) === '') isolator.warn(`value.${key}`, 'is missing or empty');
}

/** The last isolator of a name: it is the one that counts. */
export function isolatorOf(isolators: readonly Isolator[], name: string): Isolator | undefined {
  return isolators.findLast((isolator) => isolator.name === name);
}

/** Limit and request of a resource that has been checked already. */
export function resourceOf(isolator: Isolator): Resource {
  const value = (isolator.value ?? {}) as Record<string, unknown>;
  const field = (name: string): Quantity | undefined => parseQuantity(Object.entries(value).findLast(([key]) => key.toLowerCase() === name)?.[1]);
  return { request: field('request'), limit: field('limit') };
}
