import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import { readBounded } from './file.ts';

/** What goes to one host, and no other. */
export interface Credentials {
  /** Value of the Authorization header. */
  readonly header: string;
}

const FILE_MAX = 1 << 20;

/** Logins of rkt's auth.d files (`rktKind` auth, version v1), of rkt's folders and ours; later ones count. Types: basic, oauth. */
export function operatorLogins(env: Readonly<Record<string, string | undefined>>, note: (text: string) => void): (host: string) => Credentials | undefined {
  const config = env['XDG_CONFIG_HOME'] ?? '';
  const user = join(isAbsolute(config) ? config : join(env['HOME'] || homedir(), '.config'), 'vmm');
  const byHost = new Map<string, Credentials>();
  for (const base of ['/usr/lib/rkt', '/etc/rkt', '/etc/vmm', user]) {
    for (const path of files(join(base, 'auth.d'))) {
      try {
        readLogin(path, byHost);
      } catch (error) {
        if (!(error instanceof VmmError)) throw error;
        note(`login left out: ${error.message}`);
      }
    }
  }
  return (host) => byHost.get(host);
}

function files(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json')).sort().map((name) => join(folder, name));
  } catch {
    return []; // most are not there
  }
}

function readLogin(path: string, byHost: Map<string, Credentials>): void {
  const file = JsonObject.parse(readBounded(path, FILE_MAX), path);
  if (file.string('rktKind') !== 'auth') return;
  if (file.string('rktVersion') !== 'v1') throw new VmmError('ACI_CONFIG', `${path}: is of a version that is not known`);
  const credentials = file.object('credentials');
  if (credentials === undefined) throw new VmmError('ACI_CONFIG', `${path}: has no credentials`);
  const type = file.string('type');
  let header: string;
  if (type === 'basic') header = `Basic ${Buffer.from(`${credentials.string('user')}:${credentials.string('password')}`).toString('base64')}`;
  else if (type === 'oauth') header = `Bearer ${credentials.string('token')}`;
  else throw new VmmError('ACI_CONFIG', `${path}: logins of the type ${JSON.stringify(type.slice(0, 40))} are not known`);
  if (!/^[\x20-\x7e]+$/.test(header)) throw new VmmError('ACI_CONFIG', `${path}: its login cannot stand in a header`);
  for (const domain of file.strings('domains')) byHost.set(domain, { header });
}
