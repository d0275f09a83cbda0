/** The tags of a discovery page (App Container specification, "Meta Discovery"). */

export interface MetaTag {
  readonly name: 'ac-discovery' | 'ac-discovery-pubkeys';
  readonly prefix: string;
  /** A template, or a URL. */
  readonly target: string;
}

const MAX_TAGS = 100;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", apos: "'" };

/** Reads a page's meta tags up to its body. Linear in its length: a tag ends at the next `>` outside of quotes. */
export function metaTags(html: string): MetaTag[] {
  const found: MetaTag[] = [];
  for (let at = html.indexOf('<'); at >= 0 && found.length < MAX_TAGS; at = html.indexOf('<', at)) {
    if (html.startsWith('<!--', at)) {
      const end = html.indexOf('-->', at + 4);
      if (end < 0) break;
      at = end + 3;
      continue;
    }
    const end = endOfTag(html, at + 1);
    const tag = html.slice(at + 1, end);
    at = end + 1;
    if (/^(body|\/head)\b/i.test(tag)) break;
    const meta = /^meta\s/i.test(tag) ? metaOf(tag.slice(4)) : undefined;
    if (meta !== undefined) found.push(meta);
  }
  return found;
}

function endOfTag(html: string, from: number): number {
  let quote = '';
  for (let i = from; i < html.length; i++) {
    const c = html[i] as string;
    if (quote !== '') quote = c === quote ? '' : quote;
    else if (c === '"' || c === "'") quote = c;
    else if (c === '>') return i;
  }
  return html.length;
}

function metaOf(text: string): MetaTag | undefined {
  const attributes = new Map<string, string>();
  for (const [, name = '', double, single, bare] of text.slice(0, 4096).matchAll(ATTRIBUTE)) {
    if (!attributes.has(name.toLowerCase())) attributes.set(name.toLowerCase(), decode(double ?? single ?? bare ?? ''));
  }
  const name = attributes.get('name');
  if (name !== 'ac-discovery' && name !== 'ac-discovery-pubkeys') return undefined;
  const content = (attributes.get('content') ?? '').trim();
  const space = content.search(/\s/);
  if (space < 0) return undefined;
  return { name, prefix: content.slice(0, space), target: content.slice(space).trim() };
}

function decode(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39|apos);/g, (_, name: string) => ENTITIES[name] as string);
}

/** Whether a prefix is that of a name, by whole parts. */
export function isPrefixOf(prefix: string, name: string): boolean {
  return name === prefix || name.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}
