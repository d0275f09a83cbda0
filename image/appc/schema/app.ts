import { shown } from './context.ts';
import type { Fields } from './fields.ts';
import { type Isolator, parseIsolators } from './isolators.ts';
import type { NameValue } from './labels.ts';
import { checkAcName } from './names.ts';

export type EventName = 'pre-start' | 'post-stop';

export interface EventHandler {
  readonly name: EventName;
  readonly exec: readonly string[];
}

export interface MountPoint {
  readonly name: string;
  readonly path: string;
  readonly readOnly: boolean;
}

export interface Port {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly count: number;
  readonly socketActivated: boolean;
}

/** How an image is run when nobody says otherwise (App Container specification 0.8.11, "Image Manifest Schema", app). */
export interface App {
  readonly exec: readonly string[];
  readonly user: string;
  readonly group: string;
  readonly supplementaryGIDs: readonly number[];
  readonly eventHandlers: readonly EventHandler[];
  readonly workingDirectory: string | undefined;
  readonly environment: readonly NameValue[];
  readonly mountPoints: readonly MountPoint[];
  readonly ports: readonly Port[];
  readonly isolators: readonly Isolator[];
  readonly userAnnotations: Readonly<Record<string, string>> | undefined;
  readonly userLabels: Readonly<Record<string, string>> | undefined;
}

/** Environment variables' names, as the reference's code takes them. */
const VARIABLE = /^[A-Za-z_][A-Za-z_0-9.-]*$/;

export function parseApp(fields: Fields): App {
  const user = fields.string('user');
  const group = fields.string('group');
  if (user === '') throw fields.bad('user', 'is missing or empty');
  if (group === '') throw fields.bad('group', 'is missing or empty');
  const workingDirectory = fields.string('workingDirectory');
  if (workingDirectory !== '' && !workingDirectory.startsWith('/')) throw fields.bad('workingDirectory', `${shown(workingDirectory)} is no absolute path`);
  const supplementaryGIDs = fields.integers('supplementaryGIDs', Number.MIN_SAFE_INTEGER, 'supplementaryGids');
  for (const gid of supplementaryGIDs) if (gid < 0 || gid > 0xffff_fffe) fields.warn('supplementaryGIDs', `${gid} is no group's number`);
  return {
    exec: fields.strings('exec'),
    user,
    group,
    supplementaryGIDs,
    eventHandlers: parseHandlers(fields),
    workingDirectory: workingDirectory === '' ? undefined : workingDirectory,
    environment: parseEnvironment(fields),
    mountPoints: parseMountPoints(fields),
    ports: parsePorts(fields),
    isolators: parseIsolators(fields, 'isolators', 'app'),
    userAnnotations: fields.stringMap('userAnnotations'),
    userLabels: fields.stringMap('userLabels'),
  };
}

function parseHandlers(fields: Fields): EventHandler[] {
  const seen = new Set<string>();
  return fields.objects('eventHandlers').map((handler) => {
    const name = handler.string('name');
    if (name !== 'pre-start' && name !== 'post-stop') throw handler.bad('name', `${shown(name)} is neither pre-start nor post-stop`);
    if (seen.has(name)) throw fields.bad('eventHandlers', `has two of ${name}`);
    seen.add(name);
    const exec = handler.strings('exec');
    if (exec.length === 0) handler.warn('exec', 'is missing or empty');
    return { name, exec };
  });
}

function parseEnvironment(fields: Fields): NameValue[] {
  const seen = new Set<string>();
  return fields.objects('environment').map((entry) => {
    const name = entry.string('name');
    if (!VARIABLE.test(name)) throw entry.bad('name', `${shown(name)} is no name of a variable`);
    if (seen.has(name)) throw fields.bad('environment', `has two of ${shown(name)}`);
    seen.add(name);
    return { name, value: entry.string('value') };
  });
}

function parseMountPoints(fields: Fields): MountPoint[] {
  const seen = new Set<string>();
  return fields.objects('mountPoints').map((entry) => {
    const name = checkAcName(entry.string('name'), entry.at('name'), entry.context);
    const path = entry.string('path');
    if (path === '') throw entry.bad('path', 'is missing or empty');
    if (!path.startsWith('/')) entry.warn('path', `${shown(path)} is no absolute path`);
    if (seen.has(name)) fields.warn('mountPoints', `has two of ${shown(name)}`);
    seen.add(name);
    return { name, path, readOnly: entry.boolean('readOnly') };
  });
}

function parsePorts(fields: Fields): Port[] {
  const seen = new Set<string>();
  return fields.objects('ports').map((entry) => {
    const port = parsePort(entry);
    if (seen.has(port.name)) fields.warn('ports', `has two of ${shown(port.name)}`);
    seen.add(port.name);
    return port;
  });
}

export function parsePort(entry: Fields): Port {
  const name = checkAcName(entry.string('name'), entry.at('name'), entry.context);
  const protocol = entry.string('protocol');
  const port = entry.integer('port') ?? 0;
  const count = entry.integer('count') ?? 0;
  if (port < 1 || port > 65_535) throw entry.bad('port', `${port} is not between 1 and 65535`);
  if (port + count > 65_536) throw entry.bad('count', `the last port would be ${port + count - 1}`);
  if (protocol === '') entry.warn('protocol', 'is missing or empty');
  return { name, protocol, port, count: count === 0 ? 1 : count, socketActivated: entry.boolean('socketActivated') };
}

/** As the reference's encoder writes it: what is empty is left out, but for exec. */
export function encodeApp(app: App): Record<string, unknown> {
  return {
    exec: app.exec,
    ...list('eventHandlers', app.eventHandlers),
    user: app.user,
    group: app.group,
    ...list('supplementaryGIDs', app.supplementaryGIDs),
    ...(app.workingDirectory === undefined ? {} : { workingDirectory: app.workingDirectory }),
    ...list('environment', app.environment),
    ...list('mountPoints', app.mountPoints.map(({ name, path, readOnly }) => ({ name, path, ...(readOnly ? { readOnly } : {}) }))),
    ...list('ports', app.ports.map(encodePort)),
    ...list('isolators', app.isolators),
    ...(app.userAnnotations === undefined ? {} : { userAnnotations: app.userAnnotations }),
    ...(app.userLabels === undefined ? {} : { userLabels: app.userLabels }),
  };
}

function encodePort({ name, protocol, port, count, socketActivated }: Port): Record<string, unknown> {
  return { name, protocol, port, count, socketActivated };
}

/** A list as a field of a document; none when it is empty. */
export function list(key: string, values: readonly unknown[]): Record<string, unknown> {
  return values.length === 0 ? {} : { [key]: values };
}
