import { VmmError } from '../../base/errors.ts';
import { isPrefixOf, type MetaTag, metaTags } from './meta.ts';
import { MACHINE, labelValue, type NameValue } from './schema/labels.ts';
import { isStrictAcIdentifier } from './schema/names.ts';
import type { AppText } from './texts.ts';
import { readDocument, type Web } from './web.ts';

/** Where an image and its signature may be had. */
export interface Endpoint {
  readonly aci: URL;
  readonly asc: URL;
  /** The page that said so; undefined: the name itself does (simple discovery). */
  readonly from: URL | undefined;
  /** Why no page said so: what to tell when nothing is there either. */
  readonly instead?: VmmError;
}

export interface DiscoveryOptions {
  /** Instead of 443 and 80. */
  readonly port: number | undefined;
}

/** Most bytes of a page. */
const PAGE_MAX = 1 << 20;
/** Parts of a name, each of which costs a request. */
const MAX_PARTS = 20;

/** The labels that are looked for: the machine's os and arch unless the user says others. */
export function withMachine(labels: readonly NameValue[]): NameValue[] {
  const missing = Object.entries(MACHINE).filter(([name]) => labelValue(labels, name) === undefined);
  return [...labels, ...missing.map(([name, value]) => ({ name, value }))];
}

/** Places of an image: what its discovery pages say, then what its name alone says. Throws ACI_DISCOVERY, ACI_CONNECT, ACI_TLS. */
export async function discoverImage(web: Web, { name, labels }: AppText, options: DiscoveryOptions): Promise<Endpoint[]> {
  const variables = new Map([['version', 'latest'], ...labels.map((label): [string, string] => [label.name, label.value]), ['name', name] as [string, string]]);
  const found: Endpoint[] = [];
  const page = await walk(web, name, 'ac-discovery', options).catch((error: unknown) => error as VmmError);
  if (!(page instanceof Error)) {
    for (const { target } of page.tags) {
      const aci = render(target, variables, 'aci');
      const asc = render(target, variables, 'aci.asc');
      if (aci !== undefined && asc !== undefined) found.push({ aci, asc, from: page.url });
    }
  } else if (!(page instanceof VmmError)) throw page;
  const simple = simpleEndpoint(name, variables, options);
  const instead = page instanceof VmmError ? page : new VmmError('ACI_DISCOVERY', `${name}: its discovery page has no place for this image`, { hint: 'it may want labels: version, os, arch' });
  if (simple !== undefined) found.push(found.length === 0 ? { ...simple, instead } : simple);
  if (found.length > 0) return found;
  throw instead;
}

/** Places of the keys that sign a prefix's images. Throws as `discoverImage`. */
export async function discoverKeys(web: Web, name: string, options: DiscoveryOptions): Promise<{ urls: URL[]; from: URL }> {
  const { tags, url } = await walk(web, name, 'ac-discovery-pubkeys', options);
  const urls = tags.flatMap(({ target }) => URL.parse(target) ?? []);
  if (urls.length === 0) throw nothing(name, 'ac-discovery-pubkeys');
  return { urls, from: url };
}

/** The first page, from the whole name up to the bare host, that has such a tag for the name. */
async function walk(web: Web, name: string, wanted: MetaTag['name'], options: DiscoveryOptions): Promise<{ tags: MetaTag[]; url: URL }> {
  if (!isStrictAcIdentifier(name)) throw new VmmError('IMAGE_REFERENCE', `${JSON.stringify(name.slice(0, 200))} cannot be asked for: no part may be empty`, { hint: 'for example example.com/app' });
  const parts = name.split('/');
  if (parts.length > MAX_PARTS) throw new VmmError('IMAGE_REFERENCE', `${name.slice(0, 200)} has more than ${MAX_PARTS} parts`);
  let failure: VmmError | undefined;
  for (let length = parts.length; length > 0; length--) {
    try {
      const page = await readPage(web, parts.slice(0, length), options);
      const tags = page.tags.filter((tag) => tag.name === wanted && isPrefixOf(tag.prefix, name));
      if (tags.length > 0) return { tags, url: page.url };
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      failure ??= error;
      // Nobody is there: the same host will not be there for a shorter path.
      if (error.code === 'ACI_CONNECT' || error.code === 'ACI_TLS') break;
    }
  }
  throw failure ?? nothing(name, wanted);
}

async function readPage(web: Web, parts: readonly string[], options: DiscoveryOptions): Promise<{ tags: MetaTag[]; url: URL }> {
  const get = async (scheme: 'https' | 'http'): Promise<{ tags: MetaTag[]; url: URL }> => {
    const [host = '', ...path] = parts;
    const url = new URL(`${scheme}://${host}${options.port === undefined ? '' : `:${options.port}`}/${path.join('/')}`);
    url.search = '?ac-discovery=1';
    const got = await web.get(url, { accept: 'text/html' });
    if (got.response.status !== 200) {
      got.response.body.destroy();
      return { tags: [], url };
    }
    return { tags: metaTags((await readDocument(got, PAGE_MAX)).toString('utf8')), url: got.url };
  };
  try {
    const page = await get('https');
    if (page.tags.length > 0 || !web.insecureHttp) return page;
  } catch (error) {
    if (!web.insecureHttp) throw error;
  }
  return get('http');
}

/** A template with its variables in place; undefined when one has none, or what comes out is no URL of ours. */
function render(template: string, variables: ReadonlyMap<string, string>, ext: string): URL | undefined {
  if (!template.includes('{ext}')) return undefined;
  let unknown = false;
  const text = template.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = name === 'ext' ? ext : variables.get(name);
    unknown ||= value === undefined;
    return value ?? '';
  });
  const url = unknown ? null : URL.parse(text);
  return url === null || !/^https?:$/.test(url.protocol) ? undefined : url;
}

/** Of versions before 0.8.0: `https://NAME-VERSION-OS-ARCH.EXT`, for who says a version. */
function simpleEndpoint(name: string, variables: ReadonlyMap<string, string>, { port }: DiscoveryOptions): Endpoint | undefined {
  if (!isStrictAcIdentifier(name) || !name.includes('/')) return undefined;
  const own = port === undefined ? name : name.replace('/', `:${port}/`);
  const file = (ext: string): URL | undefined => render(`https://${own}-{version}-{os}-{arch}.{ext}`, variables, ext);
  const [aci, asc] = [file('aci'), file('aci.asc')];
  return aci === undefined || asc === undefined ? undefined : { aci, asc, from: undefined };
}

function nothing(name: string, tag: string): VmmError {
  return new VmmError('ACI_DISCOVERY', `${name}: no discovery page of it has a tag ${tag} for it`, { hint: `https://${name}?ac-discovery=1 should have one` });
}
