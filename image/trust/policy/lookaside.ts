import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VmmError } from '../../../base/errors.ts';
import { answer, Http, readBody, shownPath } from '../../registry/http.ts';
import type { Environment } from '../../registry/credentials.ts';
import { fullName, type RegistryName } from '../../registry/name.ts';
import { registryScopes } from './policy.ts';
import { parseRegistriesYaml } from './registries-d.ts';
import type { Attachment } from '../signatures.ts';

/** OpenPGP simple signatures lie beside a registry, in a folder or on a web server (containers-registries.d(5)). */
const MAX_SIGNATURES = 64;
const SIGNATURE_MAX = 1 << 20;

/** The simple signatures of a manifest: LOOKASIDE/REPOSITORY@sha256=HEX/signature-N, from 1 until there is none; the registry's host is no part of it. Throws REGISTRY_*. */
export async function lookasideSignatures(name: RegistryName, digest: string, env: Environment): Promise<Attachment[]> {
  const base = lookasideOf(name, env);
  const folder = `${base.pathname.replace(/\/+$/, '')}/${name.repository}@${digest.replace(':', '=')}`;
  const http = new Http({ host: base.host, insecure: false, env });
  const found: Attachment[] = [];
  try {
    for (let i = 1; i <= MAX_SIGNATURES; i++) {
      const url = new URL(base);
      url.pathname = `${folder}/signature-${i}`;
      const bytes = url.protocol === 'file:' ? fromFile(url) : await fromWeb(http, url);
      if (bytes === undefined) break;
      found.push({ bytes, mediaType: '', annotations: {} });
    }
  } finally {
    http.close();
  }
  return found;
}

/** The most specific `lookaside` of a name, `default-docker`'s, else that of the tools themselves. Throws REGISTRY_CONFIG. */
function lookasideOf(name: RegistryName, env: Environment): URL {
  const { places, fallback } = registriesD(env);
  const scope = registryScopes(fullName(name)).find((candidate) => places.has(candidate));
  const text = (scope === undefined ? undefined : places.get(scope)) ?? fallback ?? `file://${ownFolder(env)}`;
  const url = URL.parse(text);
  if (url === null || !['file:', 'http:', 'https:'].includes(url.protocol)) throw new VmmError('REGISTRY_CONFIG', `${JSON.stringify(text.slice(0, 200))} is no place of signatures`, { hint: 'registries.d wants file://, http:// or https://' });
  return url;
}

function ownFolder(env: Environment): string {
  if (process.geteuid?.() === 0) return '/var/lib/containers/sigstore';
  return join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local/share'), 'containers/sigstore');
}

/** All files of the user's folder, or where there is none, of the system's. */
function registriesD(env: Environment): { places: Map<string, string>; fallback: string | undefined } {
  const places = new Map<string, string>();
  let fallback: string | undefined;
  const own = join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'containers/registries.d');
  const folder = list(own) === undefined ? '/etc/containers/registries.d' : own;
  for (const file of (list(folder) ?? []).filter((entry) => entry.endsWith('.yaml')).sort()) {
    const path = join(folder, file);
    for (const { scope, key, value } of parseRegistriesYaml(readText(path), path)) {
      // `sigstore` is what it was called before; it has nothing to do with Sigstore.
      if (key !== 'lookaside' && key !== 'sigstore') continue;
      if (scope === undefined) fallback ??= value;
      else if (!places.has(scope) || key === 'lookaside') places.set(scope, value);
    }
  }
  return { places, fallback };
}

function list(folder: string): string[] | undefined {
  try {
    return readdirSync(folder);
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VmmError('REGISTRY_CONFIG', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
}

function fromFile(url: URL): Uint8Array | undefined {
  const path = fileURLToPath(url);
  try {
    const bytes = readFileSync(path);
    if (bytes.length > SIGNATURE_MAX) throw new VmmError('REGISTRY_ANSWER', `${path}: has ${bytes.length} bytes; at most ${SIGNATURE_MAX} are read`);
    return bytes;
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new VmmError('REGISTRY_CONFIG', `cannot read ${path}: ${code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
}

async function fromWeb(http: Http, url: URL): Promise<Uint8Array | undefined> {
  const response = await http.send({ method: 'GET', url, headers: { 'user-agent': 'vmm' } });
  if (response.status === 200) return readBody(response, SIGNATURE_MAX, url);
  response.body.destroy();
  if (response.status === 404) return undefined;
  throw answer(url, `answers ${response.status} for ${shownPath(url)}`);
}
