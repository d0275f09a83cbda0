import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import type { Environment } from './credentials.ts';

/** Where else a repository's images may be had. */
export interface Mirror {
  /** Host, perhaps with a port and a path. */
  readonly location: string;
  readonly insecure: boolean;
  readonly from: 'all' | 'digest-only' | 'tag-only';
}

/** What is configured for names that begin with `prefix`. */
export interface RegistryRule {
  /** Host and path, on whole parts; `*.example.com` for all hosts below. */
  readonly prefix: string;
  /** What stands in its place when the registry is asked. */
  readonly location: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly Mirror[];
}

/** containers-registries.conf(5), version 2. */
export interface RegistriesConf {
  readonly rules: readonly RegistryRule[];
  /** Full names by short ones, both without tags. */
  readonly aliases: ReadonlyMap<string, string>;
}

const SYSTEM = '/etc/containers';
const LOCATION = /^((\*\.)?[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(\/[a-z0-9._/-]+)?$/;

/**
 * Reads registries.conf: $CONTAINERS_REGISTRIES_CONF alone; else the user's or the system's, and what lies in registries.conf.d
 * beside each. A later file's word counts. Throws REGISTRY_CONFIG.
 */
export async function registriesConf(env: Environment): Promise<RegistriesConf> {
  const rules = new Map<string, RegistryRule>();
  const aliases = new Map<string, string>();
  for (const path of configFiles(env)) {
    const document = await readToml(path);
    if (document === undefined) continue;
    for (const entry of document.objects('registry')) {
      const rule = ruleOf(entry, path);
      rules.set(rule.prefix, rule);
    }
    const named = document.object('aliases');
    for (const key of document.keysOf('aliases')) {
      const full = named?.string(key) ?? '';
      // An empty one takes an earlier file's away.
      if (full === '') aliases.delete(key);
      else aliases.set(key, full);
    }
  }
  return { rules: [...rules.values()], aliases };
}

function configFiles(env: Environment): string[] {
  const own = env['CONTAINERS_REGISTRIES_CONF'];
  if (own) return [own];
  const home = env['HOME'] || homedir();
  const user = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers');
  const exists = readText(join(user, 'registries.conf')) !== undefined;
  return [
    join(exists ? user : SYSTEM, 'registries.conf'),
    ...[SYSTEM, user].flatMap((folder) => list(join(folder, 'registries.conf.d'))),
    // What podman's users chose when they were asked.
    join(env['XDG_CACHE_HOME'] || join(home, '.cache'), 'containers/short-name-aliases.conf'),
  ];
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.conf')).sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new VmmError('REGISTRY_CONFIG', `cannot read ${path}: ${code}`, { cause, hint: 'check its permissions' });
  }
}

async function readToml(path: string): Promise<JsonObject | undefined> {
  const text = readText(path);
  if (text === undefined) return undefined;
  const { parse } = await import('smol-toml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const { line, column } = cause as { line?: number; column?: number };
    throw new VmmError('REGISTRY_CONFIG', `${path} is not TOML${line === undefined ? '' : `: line ${line}, column ${column}`}`, { cause, hint: 'see containers-registries.conf(5)' });
  }
  return configured(path, () => {
    const document = new JsonObject(value, path);
    if (document.has('registries')) throw new VmmError('REGISTRY_CONFIG', `${path} is of version 1`, { hint: 'version 2 has [[registry]] tables: see containers-registries.conf(5)' });
    return document;
  });
}

/** Runs what reads a configuration; a fault in it is one of a configuration. */
function configured<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof VmmError) || cause.code === 'REGISTRY_CONFIG') throw cause;
    throw new VmmError('REGISTRY_CONFIG', cause.message, { cause, hint: `mend ${path}: see containers-registries.conf(5)` });
  }
}

function ruleOf(entry: JsonObject, path: string): RegistryRule {
  return configured(path, () => {
    const location = entry.optionalString('location');
    const prefix = entry.optionalString('prefix') ?? location;
    if (prefix === undefined) throw new VmmError('REGISTRY_CONFIG', `${path}: a [[registry]] has neither prefix nor location`, { hint: 'see containers-registries.conf(5)' });
    // A wildcard's hosts stay as they are.
    const rule = { prefix, location: location ?? (prefix.startsWith('*.') ? '' : prefix), insecure: entry.optionalBoolean('insecure') ?? false, blocked: entry.optionalBoolean('blocked') ?? false };
    const digestsOnly = entry.optionalBoolean('mirror-by-digest-only') ?? false;
    const mirrors = entry.objects('mirror').map((mirror) => mirrorOf(mirror, digestsOnly));
    for (const text of [prefix, rule.location, ...mirrors.map((mirror) => mirror.location)]) {
      if (text !== '' && !LOCATION.test(text)) throw new VmmError('REGISTRY_CONFIG', `${path}: ${JSON.stringify(text.slice(0, 100))} is no place of a registry`, { hint: 'HOST[:PORT][/PATH], without http://' });
    }
    return { ...rule, mirrors };
  });
}

function mirrorOf(mirror: JsonObject, digestsOnly: boolean): Mirror {
  const from = mirror.optionalString('pull-from-mirror') ?? (digestsOnly ? 'digest-only' : 'all');
  if (from !== 'all' && from !== 'digest-only' && from !== 'tag-only') throw new VmmError('REGISTRY_CONFIG', `pull-from-mirror is ${JSON.stringify(from.slice(0, 40))}`, { hint: 'all, digest-only or tag-only' });
  return { location: mirror.string('location'), insecure: mirror.optionalBoolean('insecure') ?? false, from };
}

/** The rule with the longest prefix of a full name without tag and digest. */
export function ruleFor({ rules }: RegistriesConf, name: string): RegistryRule | undefined {
  return rules.filter(({ prefix }) => matches(prefix, name)).sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

function matches(prefix: string, name: string): boolean {
  if (prefix.startsWith('*.')) return (name.split('/')[0] ?? '').replace(/:\d+$/, '').endsWith(prefix.slice(1));
  return name === prefix || name.startsWith(`${prefix}/`) || (!prefix.includes('/') && name.startsWith(`${prefix}:`));
}

/** A name as a user wrote it with its alias in the place of its short name. */
export function expandAlias({ aliases }: RegistriesConf, text: string): string {
  const parts = /^([^@]*?)((?::[^:/@]+)?(?:@.+)?)$/s.exec(text);
  const full = aliases.get(parts?.[1] ?? '');
  return full === undefined ? text : `${full}${parts?.[2] ?? ''}`;
}
