import { VmmError } from '../../../base/errors.ts';
import type { TrustCache } from './cache.ts';
import { checkExpiry, checkMeta, checksumOf, type Delegation, delegationsOf, type FileMeta, metaOf, readDocument, type SignedDocument, signersOf, targetOf, verifyDocument } from './metadata.ts';
import { checkRoot, type TrustPinning } from './pinning.ts';

/** Where documents come from: a server, by `root.json`, `3.root.json`, `targets.SHA256.json`. */
export interface DocumentSource {
  readonly host: string;
  get(file: string): Promise<Uint8Array | undefined>;
}

export interface UpdateOptions {
  readonly gun: string;
  readonly source: DocumentSource;
  readonly cache: TrustCache;
  readonly pinning: TrustPinning;
  readonly now?: Date;
  /** Gets a line about what is trusted on first use, left out, or could not be asked. */
  readonly note?: ((text: string) => void) | undefined;
}

/** A repository's documents, all checked against each other. */
export interface TrustData {
  readonly root: SignedDocument;
  readonly snapshot: SignedDocument;
  /** `targets`, and those delegations that hold, by role. */
  readonly targets: ReadonlyMap<string, SignedDocument>;
}

/** Rotations of a root that are followed one by one. */
const MAX_ROTATIONS = 1000;
const MAX_DELEGATIONS = 1000;
const RELEASES = 'targets/releases';

/**
 * Brings what is known of a repository up to date (TUF specification 5, in notary v1's form): root, timestamp, snapshot, targets and
 * delegations, each by the keys of the one before, none older than what was seen before, none expired, all of one snapshot. What was
 * found good is remembered. Throws TRUST_*, REGISTRY_*.
 */
export async function updateTrust(options: UpdateOptions): Promise<TrustData> {
  return new Update(options).run();
}

class Update {
  readonly #options: UpdateOptions;
  readonly #now: Date;
  readonly #fresh = new Map<string, SignedDocument>();

  constructor(options: UpdateOptions) {
    this.#options = options;
    this.#now = options.now ?? new Date();
  }

  async run(): Promise<TrustData> {
    const root = await this.#root();
    const timestamp = await this.#timestamp(root);
    const snapshot = await this.#below('snapshot', root, metaOf(timestamp, 'snapshot', 'timestamp'));
    const rootMeta = metaOf(snapshot, 'root', 'snapshot');
    if (rootMeta === undefined) throw new VmmError('TRUST_BAD', 'trust data: the snapshot tells of no root', { hint: 'the trust data is damaged' });
    checkMeta(root.bytes, rootMeta, 'root');
    const targets = new Map([['targets', await this.#below('targets', root, metaOf(snapshot, 'targets', 'snapshot'))]]);
    await this.#delegations(targets, snapshot);
    for (const [role, document] of this.#fresh) this.#options.cache.write(role, document.bytes);
    return { root, snapshot, targets };
  }

  /** The newest root, by way of all those since the trusted one. */
  async #root(): Promise<SignedDocument> {
    const { gun, source, cache, pinning, note } = this.#options;
    const known = cache.read('root');
    let trusted = known === undefined ? undefined : readDocument(known, 'root');
    const bytes = await this.#newestRoot(known);
    const newest = readDocument(bytes, 'root');
    if (trusted !== undefined && newest.version < trusted.version) throw rollback('root', newest.version, trusted.version);
    if (trusted !== undefined && newest.version - trusted.version > MAX_ROTATIONS) throw new VmmError('TRUST_BAD', `trust data: the root of ${gun} has changed more than ${MAX_ROTATIONS} times`, { hint: 'the server is hostile' });
    for (let version = (trusted?.version ?? newest.version) + 1; version < newest.version; version++) {
      const between = await source.get(`${version}.root.json`);
      if (between === undefined) throw new VmmError('TRUST_BAD', `trust data: root ${version} of ${gun} is not there, by which a newer one would be trusted`, { hint: 'the server is damaged or hostile' });
      const next = readDocument(between, 'root');
      if (next.version !== version) throw rollback('root', next.version, version);
      checkRoot(next, trusted, gun, pinning, this.#now);
      trusted = next;
    }
    checkRoot(newest, trusted, gun, pinning, this.#now);
    checkExpiry(newest, 'root', this.#now);
    if (trusted === undefined) note?.(`the root of ${gun} is trusted on first use; it is remembered`);
    this.#fresh.set('root', newest);
    return newest;
  }

  async #newestRoot(known: Uint8Array | undefined): Promise<Uint8Array> {
    const { gun, source } = this.#options;
    try {
      const bytes = await source.get('root.json');
      if (bytes === undefined) throw new VmmError('TRUST_UNSIGNED', `${source.host} has no trust data of ${gun}`, { hint: 'nothing of it is signed, or the server is another one: see DOCKER_CONTENT_TRUST_SERVER' });
      return bytes;
    } catch (error) {
      // What was seen before serves until it expires.
      if (known === undefined || !(error instanceof VmmError) || error.code !== 'REGISTRY_CONNECT') throw error;
      this.#options.note?.(`${source.host} cannot be asked: what was last seen of ${gun} is used`);
      return known;
    }
  }

  async #timestamp(root: SignedDocument): Promise<SignedDocument> {
    const known = this.#options.cache.read('timestamp');
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.#options.source.get('timestamp.json');
    } catch (error) {
      if (known === undefined || !(error instanceof VmmError) || error.code !== 'REGISTRY_CONNECT') throw error;
      bytes = known;
    }
    if (bytes === undefined) throw missing('timestamp');
    return this.#accept('timestamp', bytes, root);
  }

  /** A document of a base role by what the one above says of it: as it was seen before, or from the server. */
  async #below(role: 'snapshot' | 'targets', root: SignedDocument, meta: FileMeta | undefined): Promise<SignedDocument> {
    if (meta === undefined) throw missing(role);
    return this.#accept(role, await this.#fetch(role, meta), root);
  }

  async #fetch(role: string, meta: FileMeta): Promise<Uint8Array> {
    const known = this.#options.cache.read(role);
    if (known !== undefined && isAs(known, meta)) return known;
    const checksum = checksumOf(meta);
    const bytes = await this.#options.source.get(checksum === undefined ? `${role}.json` : `${role}.${checksum}.json`);
    if (bytes === undefined) throw missing(role);
    checkMeta(bytes, meta, role);
    return bytes;
  }

  #accept(role: 'timestamp' | 'snapshot' | 'targets', bytes: Uint8Array, root: SignedDocument): SignedDocument {
    const document = readDocument(bytes, role);
    const signers = signersOf(root, role);
    verifyDocument(document, signers, role);
    checkExpiry(document, role, this.#now);
    const seen = this.#seen(role);
    if (seen !== undefined && document.version < seen.version) throw rollback(role, document.version, seen.version);
    this.#fresh.set(role, document);
    return document;
  }

  /** What was seen before. As with Docker its version counts even when the role has other keys since. */
  #seen(role: string): SignedDocument | undefined {
    const bytes = this.#options.cache.read(role);
    try {
      return bytes === undefined ? undefined : readDocument(bytes, role);
    } catch (error) {
      if (error instanceof VmmError) return undefined;
      throw error;
    }
  }

  /** Delegations, parents first. One that is expired or not signed well enough signs nothing; all others are as grave as targets. */
  async #delegations(targets: Map<string, SignedDocument>, snapshot: SignedDocument): Promise<void> {
    const todo = delegationsOf(targets.get('targets') as SignedDocument, 'targets');
    for (let count = 0, next = todo.shift(); next !== undefined && count < MAX_DELEGATIONS; next = todo.shift(), count++) {
      const meta = metaOf(snapshot, next.name, 'snapshot');
      if (meta === undefined || targets.has(next.name)) continue;
      const document = readDocument(await this.#fetch(next.name, meta), next.name);
      try {
        verifyDocument(document, next, next.name);
        checkExpiry(document, next.name, this.#now);
      } catch (error) {
        if (!(error instanceof VmmError)) throw error;
        this.#options.note?.(`${error.message}: what it signs does not count`);
        continue;
      }
      const seen = this.#seen(next.name);
      if (seen !== undefined && document.version < seen.version) throw rollback(next.name, document.version, seen.version);
      this.#fresh.set(next.name, document);
      targets.set(next.name, document);
      todo.unshift(...delegationsOf(document, next.name));
    }
  }
}

function isAs(bytes: Uint8Array, meta: FileMeta): boolean {
  try {
    checkMeta(bytes, meta, '');
    return true;
  } catch {
    return false;
  }
}

function missing(role: string): VmmError {
  return new VmmError('TRUST_BAD', `trust data: there is no ${role}`, { hint: 'the server is damaged, or keeps it from us' });
}

function rollback(role: string, version: number, seen: number): VmmError {
  return new VmmError('TRUST_BAD', `trust data: ${role} is of version ${version}, version ${seen} was seen before`, { hint: 'somebody shows you old data' });
}

/** A signed tag. */
export interface SignedTarget {
  readonly role: string;
  readonly length: number;
  readonly digest: string;
}

/**
 * What a tag stands for, as Docker has it: by `targets/releases`, else by `targets`; what other delegations sign alone does not count.
 * Undefined when it is not signed.
 */
export function findTarget(data: TrustData, tag: string): SignedTarget | undefined {
  for (const start of [RELEASES, 'targets']) {
    const found = searchFrom(data, start, tag);
    if (found === undefined) continue;
    return found.role === RELEASES || found.role === 'targets' ? found : undefined;
  }
  return undefined;
}

/** A role and what it delegates to, in order, each within the names that it may sign. */
function searchFrom(data: TrustData, start: string, tag: string): SignedTarget | undefined {
  const todo: string[] = start === 'targets' || mayHold(data, 'targets', start, tag) ? [start] : [];
  for (let role = todo.shift(); role !== undefined; role = todo.shift()) {
    const document = data.targets.get(role);
    if (document === undefined) continue;
    const meta = targetOf(document, tag, role);
    if (meta !== undefined) return { role, length: meta.length, digest: digestOf(meta, tag) };
    const own = role;
    todo.unshift(...delegationsOf(document, role).filter((child) => child.name !== (start === 'targets' ? RELEASES : '') && mayHold(data, own, child.name, tag)).map(({ name }) => name));
  }
  return undefined;
}

function mayHold(data: TrustData, parent: string, role: string, tag: string): boolean {
  const document = data.targets.get(parent);
  const delegation: Delegation | undefined = document === undefined ? undefined : delegationsOf(document, parent).find(({ name }) => name === role);
  return delegation?.paths.some((path) => tag.startsWith(path)) === true;
}

function digestOf(meta: FileMeta, tag: string): string {
  const hash = Buffer.from(meta.hashes.get('sha256') ?? '', 'base64');
  if (hash.length !== 32) throw new VmmError('TRUST_BAD', `trust data: ${JSON.stringify(tag.slice(0, 128))} is signed without a sha256`, { hint: 'sign it again' });
  return `sha256:${hash.toString('hex')}`;
}
