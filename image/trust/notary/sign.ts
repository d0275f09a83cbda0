import { constants, createHash, type KeyObject, sign } from 'node:crypto';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { fullName, type RegistryName } from '../../registry/name.ts';
import { TrustCache } from './cache.ts';
import { canonicalJson } from './canonical.ts';
import { rootCertificate } from './der.ts';
import { keyIdOf, leafOf, type PublicKey, type Signers } from './keys.ts';
import { delegationsOf, readDocument, type SignedDocument, signersOf, targetOf } from './metadata.ts';
import { trustPinning } from './pinning.ts';
import { bareKeyId, type Passphrase, PrivateKeys, publicKeyOf } from './private-keys.ts';
import { type TrustData, updateTrust } from './repository.ts';
import type { TrustOptions } from './resolve.ts';
import { gunOf, NotaryServer } from './server.ts';

/** A manifest that a tag is to stand for. */
export interface TagTarget {
  readonly digest: string;
  /** Bytes of the manifest. */
  readonly length: number;
}

export interface SignOptions extends TrustOptions {
  readonly passphrase: Passphrase;
}

/** Years for which notary's client lets documents hold. */
const YEARS: Readonly<Record<string, number>> = { root: 10, targets: 3, snapshot: 3 };
type Fields = Record<string, unknown>;

/**
 * Signs a tag, as `docker push` with content trust does: in `targets` of a repository without delegations, else in every delegation that
 * one has a key of; a repository without trust data gets them. Returns the roles that signed. Throws TRUST_*, REGISTRY_*.
 */
export async function signTag(name: RegistryName, target: TagTarget, options: SignOptions): Promise<string[]> {
  const tag = name.tag ?? 'latest';
  return withSigner(name, options, async (signer) => {
    const roles = signer.rolesFor(tag);
    const hash = Buffer.from(target.digest.replace(/^sha256:/, ''), 'hex');
    if (hash.length !== 32) throw new VmmError('TRUST_CONFIG', `${target.digest} is no sha256`, { hint: 'notary signs sha256 digests' });
    for (const role of roles) await signer.changeTargets(role, (targets) => ({ ...targets, [tag]: { hashes: { sha256: hash.toString('base64') }, length: target.length } }));
    return roles;
  });
}

/** Takes a tag's signature away, or all of a repository's, in every role that one has a key of. Returns the roles that changed. Throws TRUST_*, REGISTRY_*. */
export async function revokeTag(name: RegistryName, all: boolean, options: SignOptions): Promise<string[]> {
  const tag = name.tag ?? 'latest';
  return withSigner(name, options, async (signer) => {
    const roles = signer.signedIn(all ? undefined : tag);
    if (roles.length === 0) throw new VmmError('TRUST_UNSIGNED', `${fullName(name)} is not signed by a role that you have a key of`, { hint: 'see `vmm trust inspect`' });
    for (const role of roles) await signer.changeTargets(role, (targets) => Object.fromEntries(Object.entries(targets).filter(([other]) => !all && other !== tag)));
    return roles;
  });
}

async function withSigner(name: RegistryName, options: SignOptions, action: (signer: Signer) => Promise<string[]>): Promise<string[]> {
  const gun = gunOf(name);
  const server = new NotaryServer(name, options.env, 'push,pull', options.idleMs);
  const cache = new TrustCache(options.env, gun);
  try {
    const keys = new PrivateKeys(options.env, options.passphrase);
    let data: TrustData | undefined;
    try {
      data = await updateTrust({ gun, source: server, cache, pinning: trustPinning(options.env), note: options.note });
    } catch (error) {
      // Where something was trusted before, its being away is no beginning.
      if (!(error instanceof VmmError) || error.code !== 'TRUST_UNSIGNED' || cache.read('timestamp') !== undefined) throw error;
    }
    const signer = new Signer(gun, keys, data);
    if (data === undefined) await signer.begin(server);
    const roles = await action(signer);
    await server.publish(await signer.files());
    // What the server has made of it, seen by the way that all others see it.
    await updateTrust({ gun, source: server, cache, pinning: trustPinning(options.env), note: options.note });
    return roles;
  } finally {
    server.close();
  }
}

/** A repository's documents while they change. */
class Signer {
  readonly #gun: string;
  readonly #keys: PrivateKeys;
  readonly #data: TrustData | undefined;
  readonly #stored: ReadonlySet<string>;
  readonly #changed = new Map<string, Uint8Array>();
  #root: SignedDocument | undefined;
  readonly #targets: Map<string, SignedDocument>;

  constructor(gun: string, keys: PrivateKeys, data: TrustData | undefined) {
    this.#gun = gun;
    this.#keys = keys;
    this.#data = data;
    this.#root = data?.root;
    this.#targets = new Map(data?.targets ?? []);
    this.#stored = new Set(keys.list().map(({ id }) => id));
  }

  /** New trust data: a root key of one's own, a targets key for the repository; snapshot and timestamp are the server's. */
  async begin(server: NotaryServer): Promise<void> {
    const own = this.#keys.list().find(({ role }) => role === 'root');
    const root = own === undefined ? await this.#keys.create('root', '') : await this.#keys.open(own.id);
    const certificate = rootCertificate(root, this.#gun, new Date());
    const rootKey: PublicKey = { type: `${publicKeyOf(root).type}-x509`, public: Buffer.from(certificate).toString('base64') };
    const targets = await this.#keys.create('targets', this.#gun);
    const roles: Record<string, PublicKey> = { root: rootKey, targets: publicKeyOf(targets), snapshot: await serverKey(server, 'snapshot'), timestamp: await serverKey(server, 'timestamp') };
    const keys = Object.fromEntries(Object.values(roles).map((key) => [keyIdOf(key), { keytype: key.type, keyval: { private: null, public: key.public } }]));
    const signed = { _type: 'Root', consistent_snapshot: false, expires: expiry('root'), keys, roles: Object.fromEntries(Object.entries(roles).map(([role, key]) => [role, { keyids: [keyIdOf(key)], threshold: 1 }])), version: 1 };
    const bytes = signedBytes(signed, [[keyIdOf(rootKey), root]]);
    this.#changed.set('root', bytes);
    this.#root = readDocument(bytes, 'root');
  }

  /** Roles that may sign a tag and that one has a key of, as Docker chooses them. Throws TRUST_CONFIG for none. */
  rolesFor(tag: string): string[] {
    const targets = this.#targets.get('targets');
    const delegations = targets === undefined ? [] : delegationsOf(targets, 'targets');
    if (delegations.length === 0) return ['targets'];
    const roles = delegations.filter((role) => role.paths.some((path) => tag.startsWith(path)) && this.#has(role)).map(({ name }) => name);
    if (roles.length === 0) throw new VmmError('TRUST_CONFIG', `no key here may sign tags of ${this.#gun}`, { hint: `one of ${delegations.map(({ name }) => name).slice(0, 10).join(', ')}: load it with \`vmm trust key load\`` });
    return roles;
  }

  /** Roles that one has a key of in which a tag, or anything, is signed. */
  signedIn(tag: string | undefined): string[] {
    return [...this.#targets].filter(([role, document]) => {
      const holds = tag === undefined ? document.signed.keysOf('targets').length > 0 : targetOf(document, tag, role) !== undefined;
      return holds && this.#has(this.#signers(role));
    }).map(([role]) => role);
  }

  async changeTargets(role: string, change: (targets: Fields) => Fields): Promise<void> {
    const before = this.#targets.get(role);
    const fields = before === undefined ? { _type: 'Targets', delegations: { keys: {}, roles: [] }, targets: {}, version: 0 } : fieldsOf(before);
    const signed = { ...fields, targets: change(fields['targets'] as Fields), expires: expiry('targets'), version: (fields['version'] as number) + 1 };
    const bytes = await this.#sign(signed, this.#signers(role), role);
    this.#changed.set(role, bytes);
    this.#targets.set(role, readDocument(bytes, role));
  }

  /** What is to be published: new targets of a new repository, too, and a snapshot where its key is ours, not the server's. */
  async files(): Promise<ReadonlyMap<string, Uint8Array>> {
    if (this.#data === undefined && !this.#changed.has('targets')) await this.changeTargets('targets', (targets) => targets);
    const signers = signersOf(this.#root as SignedDocument, 'snapshot');
    if (!this.#has(signers) || this.#data === undefined) return this.#changed;
    const fields = fieldsOf(this.#data.snapshot);
    const meta = { ...(fields['meta'] as Fields), ...Object.fromEntries([...this.#changed].map(([role, bytes]) => [role, metaFor(bytes)])) };
    return new Map([...this.#changed, ['snapshot', await this.#sign({ ...fields, meta, expires: expiry('snapshot'), version: this.#data.snapshot.version + 1 }, signers, 'snapshot')]]);
  }

  #signers(role: string): Signers {
    if (role === 'targets') return signersOf(this.#root as SignedDocument, 'targets');
    const parent = role.slice(0, role.lastIndexOf('/'));
    const document = this.#targets.get(parent);
    return (document === undefined ? undefined : delegationsOf(document, parent).find(({ name }) => name === role)) ?? { keys: new Map(), threshold: 1 };
  }

  #has({ keys }: Signers): boolean {
    return [...keys.values()].some((key) => this.#stored.has(bareKeyId(key, leafOf(key))) || this.#keys.has(bareKeyId(key, leafOf(key))));
  }

  async #sign(signed: Fields, { keys, threshold }: Signers, role: string): Promise<Uint8Array> {
    const own: [string, KeyObject][] = [];
    for (const [id, key] of keys) {
      const bare = bareKeyId(key, leafOf(key));
      if (this.#keys.has(bare)) own.push([id, await this.#keys.open(bare)]);
    }
    if (own.length < threshold || own.length === 0) throw new VmmError('TRUST_CONFIG', `${role} of ${this.#gun} needs ${threshold} of its keys, ${own.length} are here`, { hint: 'load them with `vmm trust key load`' });
    return signedBytes(signed, own);
  }
}

function fieldsOf({ bytes }: SignedDocument): Fields {
  return (JSON.parse(Buffer.from(bytes).toString('utf8')) as { signed: Fields }).signed;
}

/** In whole seconds: the server writes documents anew before it hashes them, and Go leaves a fraction's last zeros out. */
function expiry(role: string): string {
  const date = new Date();
  date.setUTCFullYear(date.getUTCFullYear() + (YEARS[role] ?? 3));
  return `${date.toISOString().slice(0, 19)}Z`;
}

function metaFor(bytes: Uint8Array): Fields {
  const hash = (algorithm: string): string => createHash(algorithm).update(bytes).digest('base64');
  return { length: bytes.length, hashes: { sha256: hash('sha256'), sha512: hash('sha512') } };
}

function signedBytes(signed: Fields, keys: readonly (readonly [id: string, key: KeyObject])[]): Uint8Array {
  const message = canonicalJson(signed);
  const signatures = keys.map(([keyid, key]) => ({ keyid, ...signature(key, Buffer.from(message)) }));
  return Buffer.from(`{"signed":${message},"signatures":${JSON.stringify(signatures)}}`);
}

function signature(key: KeyObject, message: Buffer): { method: string; sig: string } {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { method: 'ecdsa', sig: sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }).toString('base64') };
    case 'rsa':
      return { method: 'rsapss', sig: sign('sha256', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }).toString('base64') };
    default:
      return { method: 'eddsa', sig: sign(null, message, key).toString('base64') };
  }
}

async function serverKey(server: NotaryServer, role: string): Promise<PublicKey> {
  const bytes = await server.get(`${role}.key`);
  if (bytes === undefined) throw new VmmError('REGISTRY_ANSWER', `${server.host} has no ${role} key to give`, { hint: 'it is no notary server' });
  const key = JsonObject.parse(bytes, `${server.host}: ${role} key`);
  return { type: key.string('keytype'), public: key.object('keyval')?.string('public') ?? '' };
}
