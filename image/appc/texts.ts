import { VmmError } from '../../base/errors.ts';
import { type MountPoint, parsePort, type Port } from './schema/app.ts';
import { Context } from './schema/context.ts';
import { Fields } from './schema/fields.ts';
import type { NameValue } from './schema/labels.ts';
import { checkAcName, isAcIdentifier } from './schema/names.ts';

/** Texts by which users name apps, ports and mount points on a command line (App Container specification and rkt). */

export interface AppText {
  readonly name: string;
  readonly labels: readonly NameValue[];
}

/** `NAME[:VERSION][,LABEL=VALUE]…`. Throws IMAGE_REFERENCE. */
export function parseAppText(text: string): AppText {
  const bad = (why: string): VmmError => new VmmError('IMAGE_REFERENCE', `${JSON.stringify(text.slice(0, 300))} ${why}`, { hint: 'for example example.com/app:1.0.0,arch=amd64' });
  const [first = '', ...rest] = text.split(',');
  const [name = '', version, ...more] = first.split(':');
  if (more.length > 0 || rest.some((part) => part.slice(0, part.indexOf('=')).includes(':'))) throw bad('has more than one colon');
  if (!isAcIdentifier(name)) throw bad('is no name of an app: a-z, 0-9, and - . _ ~ / between them');
  if (version === '') throw bad('has an empty version');
  const labels: NameValue[] = version === undefined ? [] : [{ name: 'version', value: version }];
  for (const part of rest) {
    const eq = part.indexOf('=');
    const label = part.slice(0, Math.max(0, eq));
    if (eq <= 0) throw bad('has a label without =');
    if (!isAcIdentifier(label) || label === 'name') throw bad(`has the label ${JSON.stringify(label)}, which is none`);
    if (labels.some((known) => known.name === label)) throw bad(`has two of the label ${label}`);
    labels.push({ name: label, value: part.slice(eq + 1) });
  }
  return { name, labels };
}

/** `NAME,protocol=tcp,port=80[,count=1][,socketActivated=true]`. Throws USAGE, ACI_MANIFEST. */
export function parsePortText(text: string): Port {
  const { name, fields } = named(text, ['protocol', 'port', 'count', 'socketActivated']);
  const number = (key: string): number | undefined => (fields[key] === undefined ? undefined : numberOf(text, fields[key]));
  return parsePort(new Fields({ name, protocol: fields['protocol'], port: number('port'), count: number('count'), socketActivated: flag(text, fields['socketActivated']) }, '', new Context(`port ${text}`)));
}

/** `NAME,path=/data[,readOnly=true]`. Throws USAGE, ACI_MANIFEST. */
export function parseMountPointText(text: string): MountPoint {
  const { name, fields } = named(text, ['path', 'readOnly']);
  const path = fields['path'] ?? '';
  if (!path.startsWith('/')) throw bad(text, 'needs path=/…');
  return { name: checkAcName(name, 'name', new Context(`mount point ${text}`)), path, readOnly: flag(text, fields['readOnly']) };
}

function named(text: string, keys: readonly string[]): { name: string; fields: Readonly<Record<string, string>> } {
  const [name = '', ...parts] = text.split(',');
  const fields: Record<string, string> = {};
  for (const part of parts) {
    const eq = part.indexOf('=');
    const key = part.slice(0, Math.max(0, eq));
    if (eq <= 0 || !keys.includes(key)) throw bad(text, `has ${JSON.stringify(part)}, which is none of ${keys.join('=, ')}=`);
    if (fields[key] !== undefined) throw bad(text, `has two of ${key}`);
    fields[key] = part.slice(eq + 1);
  }
  return { name, fields };
}

function numberOf(text: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw bad(text, `has ${JSON.stringify(value)}, which is no number`);
  return Number(value);
}

function flag(text: string, value = 'false'): boolean {
  if (value !== 'true' && value !== 'false') throw bad(text, `has ${JSON.stringify(value)}, which is neither true nor false`);
  return value === 'true';
}

function bad(text: string, what: string): VmmError {
  return new VmmError('USAGE', `${JSON.stringify(text.slice(0, 200))} ${what}`, { hint: 'see `vmm aci patch --help`' });
}
