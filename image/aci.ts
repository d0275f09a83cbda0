import { closeSync, existsSync, fstatSync } from 'node:fs';
import { VmmError } from '../base/errors.ts';
import { operatorLogins } from './appc/auth.ts';
import { type Bring, dependencyHooks, type Needed } from './appc/below.ts';
import { discoverImage, discoverKeys, type Endpoint, withMachine } from './appc/discovery.ts';
import { downloadImage, downloadSignature, isUnchanged } from './appc/download.ts';
import { isFresh, readFreshness } from './appc/freshness.ts';
import { openRegular, readBounded } from './appc/file.ts';
import { type KeystorePaths, keysFor, keystorePaths, trustKey } from './appc/keystore.ts';
import { ARMOUR_MAX, type Key, readPublicKey } from './appc/openpgp.ts';
import type { ImageManifest } from './appc/schema/image-manifest.ts';
import { isWanted, manifestOf, storedAci, textOf, type Wanted } from './appc/stored.ts';
import { type AppText, parseAppText } from './appc/texts.ts';
import { readSignatureFile, signerOf, verifyFile, withFile } from './appc/verify.ts';
import { readDocument, Web } from './appc/web.ts';
import { importSource } from './import.ts';
import type { ResolveOptions } from './options.ts';
import { policyPath } from './policy-place.ts';
import { type AciHooks, aciArchive } from './sources/aci.ts';
import { Archive } from './sources/archive.ts';
import { changeStore } from './store/change.ts';
import type { ImageRecord } from './store/record.ts';
import type { ImageStore } from './store/store.ts';

export interface AciOptions extends ResolveOptions {
  readonly store: ImageStore;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For discovery, instead of 443. */
  readonly port?: number | undefined;
  /** Where the signature is, instead of beside the image: a path or URL. */
  readonly signature?: string | undefined;
  /** Asked about a key that discovery found for a name without one; default: none is trusted. */
  readonly review?: (key: Key, url: URL, name: string) => Promise<boolean>;
}

/** A signature as it was found; undefined: there is none. */
type Found = { readonly bytes: Buffer; readonly where: string } | undefined;

/** Brings ACIs into the store: from files, URLs, and by their names, with what they depend on, verified. Throws ACI_*, IMAGE_*, STORE_*. */
export class AciSession {
  readonly #options: AciOptions;
  readonly #store: ImageStore;
  readonly #keys: KeystorePaths;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #web: Web | undefined;

  constructor(options: AciOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#env = options.env ?? process.env;
    this.#keys = keystorePaths(this.#env);
  }

  close(): void {
    this.#web?.close();
  }

  get web(): Web {
    const { insecure } = this.#options;
    this.#web ??= new Web({ env: this.#env, insecureTls: insecure?.tls ?? false, insecureHttp: insecure?.http ?? false, credentials: operatorLogins(this.#env, (text) => this.#note(text)) });
    return this.#web;
  }

  /** For an ACI in a file. `mustBeSigned`: as a run wants it, and whoever fetches. */
  fileHooks(mustBeSigned: boolean): AciHooks {
    return this.#hooks([], mustBeSigned, undefined, async (archive) => this.#beside(archive.input.path));
  }

  /** The image of `NAME[:VERSION][,LABEL=VALUE]…`: stored, or fetched, as --pull has it. */
  async byName(text: string): Promise<ImageRecord> {
    const app = parseAppText(text);
    const policy = this.#options.pull ?? 'never';
    const stored = storedAci(this.#store, app);
    if (stored !== undefined && (policy === 'missing' || policy === 'never')) return stored;
    if (policy === 'never') throw new VmmError('IMAGE_NOT_FOUND', `no app container image ${textOf(app)} in the store`, { hint: 'fetch it: `vmm aci fetch`' });
    try {
      return await this.fetch(app);
    } catch (error) {
      if (stored === undefined || policy !== 'newer' || !(error instanceof VmmError)) throw error;
      this.#note(`the stored image runs, since it cannot be asked for: ${error.message}`);
      return stored;
    }
  }

  /** Fetches an image by its name. */
  async fetch(app: AppText, chain: readonly string[] = [], imageID?: string): Promise<ImageRecord> {
    const wanted: Wanted = { name: app.name, labels: withMachine(app.labels), imageID };
    const endpoints = await discoverImage(this.web, { name: app.name, labels: wanted.labels }, { port: this.#options.port });
    let failure: unknown;
    for (const endpoint of endpoints) {
      try {
        return await this.#fetchFrom(endpoint, wanted, chain);
      } catch (error) {
        if (!(error instanceof VmmError)) throw error;
        const code = error.code;
        // Nothing need be where only the name says that something is.
        const absent = code === 'IMAGE_NOT_FOUND' || code === 'ACI_CONNECT' || (code === 'ACI_UNSIGNED' && endpoint.from === undefined);
        if (!absent) throw error;
        failure ??= endpoint.instead ?? error;
      }
    }
    throw failure;
  }

  /** Fetches an image by its URL; its signature lies beside it. */
  async fetchUrl(text: string): Promise<ImageRecord> {
    const aci = new URL(text);
    const asc = new URL(text);
    asc.pathname += '.asc';
    return this.#fetchFrom({ aci, asc, from: undefined }, undefined, []);
  }

  /** The image that a URL held when it was fetched; asked for again where --pull says so. */
  async byUrl(text: string): Promise<ImageRecord> {
    const { pull = 'missing' } = this.#options;
    const known = pull === 'missing' || pull === 'never' ? this.#store.sourceImage(urlIdentity(text)) : undefined;
    if (known !== undefined) return known;
    if (pull === 'never') throw new VmmError('IMAGE_NOT_FOUND', `${text} has not been fetched yet`, { hint: 'let it be fetched: --pull missing' });
    return this.fetchUrl(text);
  }

  async #fetchFrom({ aci, asc, from }: Endpoint, wanted: Wanted | undefined, chain: readonly string[]): Promise<ImageRecord> {
    const secure = this.#options.insecure?.image !== true;
    const current = await this.#stillCurrent(aci, from, wanted);
    if (current !== undefined) return current;
    const early = secure && wanted !== undefined ? await this.#signatureFrom(asc, from, false) : 'later';
    // Who signed it is known before the image has come.
    if (early !== 'later') await this.#checkSigner(early, wanted as Wanted);
    let fd = -1;
    let freshness = '';
    try {
      const imported = await importSource({
        store: this.#store,
        text: aci.href,
        host: this.#options.host,
        progress: this.#options.progress,
        names: (own) => own,
        identity: async () => urlIdentity(aci.href),
        freshness: () => freshness,
        open: async (folder) => {
          const tempDir = await folder();
          ({ fd, freshness } = await downloadImage(this.web, aci, from, tempDir, this.#options.progress));
          const archive = await Archive.open(`/proc/self/fd/${fd}`, tempDir, undefined, aci.href);
          try {
            return await aciArchive(archive, this.#hooks(chain, true, wanted, async () => (early === 'later' ? ((await this.#signatureFrom(asc, from, true)) as Found) : early), aci));
          } catch (error) {
            archive.close();
            throw error;
          }
        },
      });
      for (const note of imported.notes) this.#note(note);
      return imported.record;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  /**
   * The stored image of a URL while its server said that it counts (Cache-Control), or says so now (ETag); its signature was looked at when
   * it came. What depends on others is fetched: its disk is made of theirs, too.
   */
  async #stillCurrent(aci: URL, from: URL | undefined, wanted: Wanted | undefined): Promise<ImageRecord | undefined> {
    const identity = urlIdentity(aci.href);
    const known = this.#options.signature === undefined ? this.#store.sourceImage(identity) : undefined;
    const manifest = known === undefined ? undefined : manifestOf(known);
    if (known === undefined || manifest === undefined || manifest.dependencies.length > 0) return undefined;
    if (this.#options.insecure?.image !== true && !(await this.#stillTrusted(manifest.name, known.signedBy))) return undefined;
    if (wanted !== undefined && !isWanted(wanted, manifest, known.id)) return undefined;
    const freshness = readFreshness(this.#store.sourceNote(identity, known.id));
    if (isFresh(freshness, Date.now())) return known;
    const again = freshness.etag === undefined ? undefined : await isUnchanged(this.web, aci, from, freshness.etag);
    if (again === undefined) return undefined;
    await changeStore(this.#store, (change) => change.setSource(identity, known.id, again));
    return known;
  }

  /** A key that is no longer trusted counts no more, however fresh the image is. */
  async #stillTrusted(name: string, signedBy: string | undefined): Promise<boolean> {
    return signedBy !== undefined && (await keysFor(this.#keys, name, () => {})).some((key) => key.getFingerprint() === signedBy);
  }

  /** What is fetched has to pass the policy file, as what a registry has; a file's rule is that of its path. */
  async #obey(name: string, signedBy: string | undefined, url: URL | undefined): Promise<void> {
    const policy = policyPath(this.#env);
    if (policy === undefined) return;
    const [{ obeyPolicyForAci }, { pathScopes }] = await Promise.all([import('./trust/policy/appc.ts'), import('./trust/policy/policy.ts')]);
    await obeyPolicyForAci(policy, { what: `aci:${name}`, transport: 'appc', scopes: [...pathScopes(url?.href ?? ''), ...pathScopes(name)], name, signedBy }, this.#env);
  }

  #hooks(chain: readonly string[], mustBeSigned: boolean, wanted: Wanted | undefined, signature: (archive: Archive) => Promise<Found>, url?: URL): AciHooks {
    const bring: Bring = (needed) => this.#bring(needed);
    return {
      ...dependencyHooks(this.#store, bring, chain),
      signer: async (manifest, id, archive) => {
        if (wanted !== undefined && !isWanted(wanted, manifest, id)) throw new VmmError('ACI_MISMATCH', `${archive.name}: is ${textOf(manifest)}, not ${textOf(wanted)}`, { hint: 'the server is set up wrongly, or hostile' });
        const signedBy = this.#options.insecure?.image === true ? undefined : await this.#verify(manifest, archive, await signature(archive), mustBeSigned);
        if (url !== undefined) await this.#obey(manifest.name, signedBy, wanted === undefined ? url : undefined);
        return signedBy;
      },
    };
  }

  async #bring({ name, labels, imageID, chain, size }: Needed): Promise<ImageRecord | undefined> {
    if ((this.#options.pull ?? 'never') === 'never') return undefined;
    const text = textOf({ name, labels, imageID });
    if (chain.includes(text)) throw new VmmError('ACI_DEPENDENCY', `${text} depends on itself`, { hint: 'the images are damaged or hostile' });
    this.#note(`fetching ${text}${size === undefined ? '' : ` (${size} bytes)`}, which ${chain.at(-1)} depends on`);
    return this.fetch({ name, labels }, chain, imageID);
  }

  async #verify(manifest: ImageManifest, archive: Archive, found: Found, mustBeSigned: boolean): Promise<string | undefined> {
    if (found === undefined) {
      if (mustBeSigned) throw unsigned(archive.name);
      this.#note(`${archive.name} is not signed: it runs with --insecure-options=image only`);
      return undefined;
    }
    const keys = await this.#keysOf(manifest.name);
    const signature = await readSignatureFile(found.bytes, found.where);
    const { fingerprint, warnings } = await withFile(openRegular(archive.input.path), async (fd) => {
      const before = fstatSync(fd, { bigint: true });
      const signed = await verifyFile(fd, signature, keys, archive.name);
      const after = fstatSync(fd, { bigint: true });
      // What was verified is what was read.
      for (const field of ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const) {
        if (before[field] !== archive.input.stat[field] || after[field] !== before[field]) throw new VmmError('IMAGE_SOURCE_CHANGED', `${archive.name} changed while it was read`, { hint: 'stop what writes to it and try again' });
      }
      return signed;
    });
    for (const warning of warnings) this.#note(warning);
    return fingerprint;
  }

  async #checkSigner(found: Found, { name }: Wanted): Promise<void> {
    if (found === undefined) throw unsigned(name);
    signerOf(await readSignatureFile(found.bytes, found.where), await this.#keysOf(name), name);
  }

  /** Keys for a name; where there are none, those that discovery finds and the user takes. */
  async #keysOf(name: string): Promise<Key[]> {
    const keys = await keysFor(this.#keys, name, (text) => this.#note(text));
    const { review } = this.#options;
    if (keys.length > 0 || review === undefined) return keys;
    for (const { key, url } of await this.findKeys(name)) {
      if (await review(key, url, name)) {
        trustKey(this.#keys.user, name, key);
        keys.push(key);
      }
    }
    return keys;
  }

  /** Keys that discovery finds for a prefix. */
  async findKeys(name: string): Promise<{ key: Key; url: URL }[]> {
    const { urls, from } = await discoverKeys(this.web, name, { port: this.#options.port });
    const found: { key: Key; url: URL }[] = [];
    for (const url of urls) found.push({ key: await this.keyAt(url, from), url });
    return found;
  }

  /** The key at a URL. */
  async keyAt(url: URL, from: URL | undefined): Promise<Key> {
    const got = await this.web.get(url, {}, from);
    if (got.response.status === 200) return readPublicKey(await readDocument(got, ARMOUR_MAX), url.href);
    got.response.body.destroy();
    throw new VmmError('IMAGE_NOT_FOUND', `${url.host} has no key at ${url.pathname.slice(0, 200)} (${got.response.status})`, { hint: 'check the URL, or the discovery page that names it' });
  }

  async #signatureFrom(asc: URL, from: URL | undefined, last: boolean): Promise<Found | 'later'> {
    const { signature } = this.#options;
    if (signature !== undefined && !/^https?:/.test(signature)) return { bytes: readBounded(signature, ARMOUR_MAX), where: signature };
    const url = signature === undefined ? asc : new URL(signature);
    const bytes = await downloadSignature(this.web, url, signature === undefined ? from : undefined);
    if (bytes === 'later') {
      if (last) throw new VmmError('ACI_ANSWER', `${url.host} has no signature yet`, { hint: 'try again later' });
      return bytes;
    }
    return bytes === undefined ? undefined : { bytes, where: url.href };
  }

  async #beside(path: string): Promise<Found> {
    const { signature = `${path}.asc` } = this.#options;
    if (/^https?:/.test(signature)) return (await this.#signatureFrom(new URL(signature), undefined, true)) as Found;
    if (this.#options.signature === undefined && !existsSync(signature)) return undefined;
    return { bytes: readBounded(signature, ARMOUR_MAX), where: signature };
  }

  #note(text: string): void {
    this.#options.note?.(text);
  }
}

/** Under which a URL's image is known. */
function urlIdentity(url: string): string {
  return JSON.stringify(['aci-url', url]);
}

export function unsigned(where: string): VmmError {
  return new VmmError('ACI_UNSIGNED', `${where}: is not signed`, { hint: 'give --insecure-options=image to take it all the same' });
}
