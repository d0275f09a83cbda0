import { Archive } from '../sources/archive.ts';
import { VmmError } from '../../base/errors.ts';
import { rootfsOf } from './contents.ts';
import type { App } from './schema/app.ts';
import { Context } from './schema/context.ts';
import { encodeImageManifest, type ImageManifest, parseImageManifest } from './schema/image-manifest.ts';
import { type Isolator, REMOVE_CALLS, REMOVE_CAPABILITIES, RETAIN_CALLS, RETAIN_CAPABILITIES } from './schema/isolators.ts';
import { parseMountPointText, parsePortText } from './texts.ts';
import { type WriteOptions, writeAci } from './write.ts';

/** What `actool patch-manifest` changes; what is not given stays. */
export interface Patch {
  readonly name?: string | undefined;
  /** Command and arguments, divided by blanks. */
  readonly exec?: string | undefined;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly supplementaryGroups?: readonly number[] | undefined;
  /** Retained, and nothing else. */
  readonly capability?: readonly string[] | undefined;
  readonly revokeCapability?: readonly string[] | undefined;
  /** NAME,path=PATH[,readOnly=true], divided by colons. */
  readonly mounts?: string | undefined;
  /** NAME,protocol=,port=,count=,socketActivated=, divided by colons. */
  readonly ports?: string | undefined;
  /** Parsed JSON: a list of isolators. */
  readonly isolators?: readonly unknown[] | undefined;
  readonly seccompMode?: { readonly retain: boolean; readonly errno: string | undefined } | undefined;
  readonly seccompSet?: readonly string[] | undefined;
}

/** Writes an ACI with another manifest; its root file system stays what it is. Returns the new id. Throws ACI_*, IMAGE_*. */
export async function replaceManifest(input: string, out: string, tempDir: string, manifest: (before: Uint8Array) => string, options: WriteOptions): Promise<string> {
  const archive = await Archive.open(input, tempDir);
  try {
    const text = manifest(archive.read('manifest'));
    return await writeAci({ manifest: Buffer.from(text), rootfs: await rootfsOf(archive) }, out, options);
  } finally {
    archive.close();
  }
}

/** The manifest with the patch applied, checked as any other. Throws ACI_MANIFEST, USAGE. */
export function patchManifest(bytes: Uint8Array, patch: Patch, where: string): string {
  const before = parseImageManifest(bytes, new Context(where));
  const app = patchApp(before.app, patch);
  const text = encodeImageManifest({ ...before, name: patch.name ?? before.name, app });
  parseImageManifest(Buffer.from(text), new Context(`${where}, patched`));
  return text;
}

const FRESH: App = {
  exec: [], user: '0', group: '0', supplementaryGIDs: [], eventHandlers: [], workingDirectory: undefined, environment: [], mountPoints: [], ports: [],
  isolators: [], userAnnotations: undefined, userLabels: undefined,
};

function patchApp(before: App | undefined, patch: Patch): ImageManifest['app'] {
  const { name: _name, ...ofApp } = patch;
  if (Object.values(ofApp).every((value) => value === undefined)) return before;
  const app = before ?? FRESH;
  return {
    ...app,
    exec: patch.exec?.split(/\s+/).filter((word) => word !== '') ?? app.exec,
    user: patch.user ?? app.user,
    group: patch.group ?? app.group,
    supplementaryGIDs: patch.supplementaryGroups ?? app.supplementaryGIDs,
    mountPoints: [...app.mountPoints, ...texts(patch.mounts).map(parseMountPointText)],
    ports: [...app.ports, ...texts(patch.ports).map(parsePortText)],
    isolators: patchIsolators(app.isolators, patch),
  };
}

function texts(list: string | undefined): string[] {
  return (list ?? '').split(':').filter((text) => text !== '');
}

/** What is given takes the place of isolators of its name; the two kinds of a set exclude each other. */
function patchIsolators(before: readonly Isolator[], { capability, revokeCapability, isolators, seccompMode, seccompSet }: Patch): Isolator[] {
  const added: Isolator[] = [];
  const gone = new Set<string>();
  if (capability !== undefined && revokeCapability !== undefined) throw usage('--capability and --revoke-capability exclude each other');
  if ((seccompMode === undefined) !== (seccompSet === undefined)) throw usage('--seccomp-mode and --seccomp-set belong together');
  if (capability !== undefined) added.push({ name: RETAIN_CAPABILITIES, value: { set: capability } });
  if (revokeCapability !== undefined) added.push({ name: REMOVE_CAPABILITIES, value: { set: revokeCapability } });
  if (added.length > 0) for (const name of [RETAIN_CAPABILITIES, REMOVE_CAPABILITIES]) gone.add(name);
  if (seccompMode !== undefined) {
    const { retain, errno } = seccompMode;
    added.push({ name: retain ? RETAIN_CALLS : REMOVE_CALLS, value: { set: seccompSet, ...(errno === undefined ? {} : { errno }) } });
    for (const name of [RETAIN_CALLS, REMOVE_CALLS]) gone.add(name);
  }
  for (const isolator of (isolators ?? []) as readonly Isolator[]) {
    added.push(isolator);
    if (typeof isolator?.name === 'string') gone.add(isolator.name);
  }
  return [...before.filter(({ name }) => !gone.has(name)), ...added];
}

function usage(what: string): VmmError {
  return new VmmError('USAGE', what, { hint: 'see `vmm aci patch --help`' });
}
