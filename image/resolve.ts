import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmmError } from '../base/errors.ts';
import type { ImageProcessConfig } from './documents/config.ts';
import { type ImageReference, type PathReference, parseReference, REFERENCE_FORMS } from './sources/reference.ts';
import type { AciHooks } from './sources/aci.ts';
import type { ImageRecord } from './store/record.ts';
import type { AciSession } from './aci.ts';
import type { ResolveOptions } from './options.ts';
import { policyPath } from './policy-place.ts';
import { ImageStore, normalName } from './store/store.ts';

export type { PullPolicy, ResolveOptions } from './options.ts';

/** An image that is ready to run. */
export interface ResolvedImage {
  /** Path of the EROFS file; it may be removed once it is open. */
  readonly rootfs: string;
  readonly config: ImageProcessConfig;
  /** What the store knows of it. */
  readonly record: ImageRecord;
}

/**
 * Finds the image that `reference` names, importing it when it has changed or was never seen. On the way to a second run
 * nothing but the source's stat fields and the record are read. Throws VmmError IMAGE_*, STORE_*.
 */
export async function resolveImage(reference: string, options: ResolveOptions = {}): Promise<ResolvedImage> {
  const store = options.store ?? new ImageStore(undefined, options.host);
  const parsed = parseReference(reference, existsSync);
  if (parsed.kind === 'path') refuseBoth(store, reference);
  const policy = policyPath(process.env);
  const rules = policy === undefined ? undefined : await import('./by-policy.ts');
  rules?.sourceByPolicy(parsed, policy as string);
  const record = await find(store, parsed, reference, options, policy);
  await rules?.foundByPolicy(parsed, record, policy as string);
  if (!mayRun(record, options)) throw (await import('./aci.ts')).unsigned(reference);
  store.touch(record);
  return { rootfs: store.rootfsPath(record.rootfs), config: record.config, record };
}

async function find(store: ImageStore, parsed: ImageReference, text: string, options: ResolveOptions, policy: string | undefined): Promise<ImageRecord> {
  switch (parsed.kind) {
    case 'name':
      return byName(store, parsed.name, options, policy);
    case 'aci-name':
    case 'aci-url':
      return aci(parsed, { ...options, store });
    default: {
      const known = knownSource(store, parsed);
      // An ACI without a signature may have one by now.
      if (known !== undefined && mayRun(known, options)) return known;
      return (await importParsed(store, parsed, text, options, 'free', true)).record;
    }
  }
}

/** ACIs run when they are signed, as with rkt, or when the user does without. */
function mayRun({ aciManifest, signedBy }: ImageRecord, { insecure }: ResolveOptions): boolean {
  return aciManifest === undefined || signedBy !== undefined || insecure?.image === true;
}

async function aci({ kind, name }: { readonly kind: 'aci-name' | 'aci-url'; readonly name: string }, options: ResolveOptions & { store: ImageStore }): Promise<ImageRecord> {
  const session = new (await import('./aci.ts')).AciSession(options);
  try {
    return kind === 'aci-name' ? await session.byName(name) : await session.byUrl(name);
  } finally {
    session.close();
  }
}

async function byName(store: ImageStore, name: string, options: ResolveOptions, policyFile: string | undefined): Promise<ImageRecord> {
  const policy = options.pull ?? 'never';
  if (policyFile !== undefined) return (await import('./by-policy.ts')).imageByPolicy(name, policyFile, policy, { ...options, store });
  if (options.contentTrust === true && !isId(store, name)) {
    const { trustedImage } = await import('./pull.ts');
    return trustedImage(name, policy, { ...options, store });
  }
  const record = store.find(name);
  if (policy !== 'never' && (record === undefined || policy !== 'missing')) {
    const { pullByPolicy } = await import('./pull.ts');
    return pullByPolicy(name, record, policy, { ...options, store });
  }
  if (record === undefined) throw store.notFound(name, `it is no path either: give ${REFERENCE_FORMS}`);
  return record;
}

/** An id is its own word for what runs. */
function isId(store: ImageStore, text: string): boolean {
  const record = /^(sha(256|512):)?[0-9a-f]{12,}$/.test(text) ? store.find(text) : undefined;
  return record?.id.replace(/^sha\d+:/, '').startsWith(text.replace(/^sha\d+:/, '')) === true && !store.hasName(text);
}

/** `debian` may be a directory here and an image of the store: neither is taken without a word. Throws IMAGE_AMBIGUOUS. */
function refuseBoth(store: ImageStore, text: string): void {
  if (text.startsWith('/') || text.startsWith('.')) return;
  const record = store.find(text);
  if (record === undefined) return;
  const stored = existsSync(normalName(text)) ? record.id.replace(/^sha\d+:/, '').slice(0, 12) : normalName(text);
  throw new VmmError('IMAGE_AMBIGUOUS', `${text} is both a path here and an image of the store`, { hint: `write ./${text} for the path, ${stored} for the image` });
}

/** Imports what a reference names and records it under `names`, or without them under its own; `text` is what a user calls it. */
export async function importImage(reference: string, options: ResolveOptions = {}, names: readonly string[] = [], text = reference): Promise<{ record: ImageRecord; names: readonly string[] }> {
  const store = options.store ?? new ImageStore(undefined, options.host);
  const parsed = parseReference(reference, existsSync);
  if ('name' in parsed) {
    if (parsed.kind !== 'name') throw new VmmError('IMAGE_REFERENCE', `${reference} is to be fetched`, { hint: '`vmm aci fetch` does that' });
    throw new VmmError('IMAGE_NOT_FOUND', `${reference} is not a path`, { hint: `give ${REFERENCE_FORMS}` });
  }
  return importParsed(store, parsed, text, options, names, false);
}

/**
 * `names`: what to call it; an empty list: what it calls itself; 'free': that too, but no name that another image has. A
 * run of some archive must not change what a name of the store stands for.
 */
async function importParsed(
  store: ImageStore,
  reference: PathReference,
  text: string,
  options: ResolveOptions,
  names: readonly string[] | 'free',
  mustBeSigned: boolean,
): Promise<{ record: ImageRecord; names: readonly string[] }> {
  const before = sourceIdentity(reference)?.key;
  const [{ importSource }, { openSource }, { Intake }] = await Promise.all([import('./import.ts'), import('./sources/open.ts'), import('./store/intake.ts')]);
  // What is only run has its layers where it is.
  const intake = names === 'free' ? undefined : new Intake(store);
  let session: AciSession | undefined;
  const hooks = async (): Promise<AciHooks> => {
    session = new (await import('./aci.ts')).AciSession({ ...options, store });
    return session.fileHooks(mustBeSigned);
  };
  const imported = await importSource({
    ...(intake === undefined ? {} : { intake }),
    store,
    text,
    open: (tempDir) => openSource(reference, tempDir, hooks),
    host: options.host,
    progress: options.progress,
    names: (own) => {
      if (names === 'free') return own.filter((name) => !store.hasName(name));
      return names.length === 0 ? own : names;
    },
    identity: async () => (before !== undefined && before === (await settledIdentity(reference)) ? before : undefined),
  }).finally(() => {
    intake?.close();
    session?.close();
  });
  for (const note of imported.notes) options.note?.(note);
  return imported;
}

function knownSource(store: ImageStore, reference: PathReference): ImageRecord | undefined {
  const identity = sourceIdentity(reference);
  return identity === undefined ? undefined : store.sourceImage(identity.key);
}

/** Time stamps move in ticks of up to 10 ms: a change within the last tick might not show in them. */
const TICK_MS = 20;

/** The identity now, once any later change would show in it. */
async function settledIdentity(reference: PathReference): Promise<string | undefined> {
  const identity = sourceIdentity(reference);
  if (identity === undefined || Date.now() - identity.changedMs >= TICK_MS) return identity?.key;
  await sleep(TICK_MS);
  return sourceIdentity(reference)?.key;
}

/**
 * What tells whether a file is still the same, or an OCI layout or skopeo directory by the document at its top. A plain
 * directory has to be walked: its import sets no source, whatever this says. Errors are left to the import.
 */
function sourceIdentity(reference: PathReference): { key: string; changedMs: number } | undefined {
  const path = resolve(reference.path);
  try {
    let file = path;
    let stat = statSync(path, { bigint: true });
    if (stat.isDirectory()) {
      file = join(path, existsSync(join(path, 'oci-layout')) && reference.kind !== 'dir' ? 'index.json' : 'manifest.json');
      if (!existsSync(file)) return undefined;
      stat = statSync(file, { bigint: true });
    }
    if (!stat.isFile()) return undefined;
    const tag = 'tag' in reference ? (reference.tag ?? '') : '';
    return {
      key: JSON.stringify([reference.kind, file, tag, stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].map(String)),
      changedMs: Number(stat.ctimeNs / 1_000_000n),
    };
  } catch {
    return undefined;
  }
}
