import { type AciOptions, AciSession, ARMOUR_MAX, discoverImage, discoverKeys, fingerprintOf, type Key, keystorePaths, parseAppText, readBounded, readPublicKey, trustKey, userIdsOf, withMachine } from '../api/appc.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, resolveImage } from '../api/images.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { INSECURE } from './insecure-option.ts';
import { flag, oneOf, value } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { subcommand } from './subcommand.ts';

const PORT = value('N', 'ask this port instead of 443', port);

export const DISCOVER = subcommand(
  {
    name: 'aci discover',
    synopsis: '[OPTIONS] NAME[:VERSION][,LABEL=VALUE]…',
    about: 'Says where an image, its signature and the keys of its name are, by its discovery pages and by its name.',
    options: { json: flag('as JSON'), port: PORT, insecureOptions: INSECURE, help: HELP },
  },
  [1, Number.POSITIVE_INFINITY, 'one name or more'],
  async (texts, options) => {
    for (const text of texts) {
      const app = parseAppText(text);
      const session = new AciSession({ ...common(), insecure: options.insecureOptions ?? NOTHING, port: options.port });
      try {
        const endpoints = await discoverImage(session.web, { name: app.name, labels: withMachine(app.labels) }, { port: options.port });
        const keys = await discoverKeys(session.web, app.name, { port: options.port }).then(({ urls }) => urls, () => []);
        const aci = endpoints.map((endpoint) => ({ ACI: endpoint.aci.href, ASC: endpoint.asc.href }));
        if (options.json) print(`${JSON.stringify({ ACIEndpoints: aci, PublicKeys: keys.map(({ href }) => href) })}\n`);
        else print(`${[...aci.map(({ ACI, ASC }) => `ACI: ${oneLine(ACI)}, ASC: ${oneLine(ASC)}`), ...keys.map(({ href }) => `Key: ${oneLine(href)}`)].join('\n')}\n`);
      } finally {
        session.close();
      }
    }
    return 0;
  },
);

export const FETCH = subcommand(
  {
    name: 'aci fetch',
    synopsis: '[OPTIONS] IMAGE…',
    about: 'Brings app container images into the store, with what they depend on: by name (NAME[:VERSION][,LABEL=VALUE]…), URL or file. Prints their ids.',
    options: {
      pullPolicy: value('new|never|update', 'what to do about an image that is stored (default update: ask again)', oneOf('new', 'never', 'update')),
      signature: value('FILE', 'where the signature is, a path or a URL (default: beside the image)'),
      trustKeysFromHttps: flag('trust keys that discovery finds for a name that has none, without asking'),
      port: PORT,
      insecureOptions: INSECURE,
      quiet: flag('no notes, no progress', { short: 'q' }),
      help: HELP,
    },
    examples: [['vmm aci fetch example.com/app:1.0.0', 'then: vmm run aci:example.com/app:1.0.0']],
  },
  [1, Number.POSITIVE_INFINITY, 'one image or more'],
  async (texts, options) => {
    const line = new ProgressLine();
    const note = (text: string): void => {
      line.clear();
      if (!options.quiet) tell(`vmm: ${oneLine(text)}\n`);
    };
    const review: AciOptions['review'] = options.trustKeysFromHttps ? async (key, url, name) => told(note, key, url, name) : process.stdin.isTTY ? (key, url, name) => ask(key, url.href, name) : undefined;
    const policy = ({ new: 'missing', never: 'never', update: 'always' } as const)[options.pullPolicy ?? 'update'];
    const fetching = { ...common(), note, pull: policy, insecure: options.insecureOptions ?? NOTHING, port: options.port, signature: options.signature, ...(review === undefined ? {} : { review }), ...(options.quiet ? {} : { progress: line.update }) };
    for (const text of texts) print(`${await fetchOne(text.replace(/^aci:(?![./])/, ''), fetching).finally(() => line.clear())}\n`);
    return 0;
  },
);

async function fetchOne(text: string, options: AciOptions): Promise<string> {
  if (/^[./]/.test(text)) return idText((await resolveImage(`aci:${text}`, options)).record.id);
  const session = new AciSession(options);
  try {
    return idText((await (/^https?:/.test(text) ? session.byUrl(text) : session.byName(text))).id);
  } finally {
    session.close();
  }
}

export const TRUST = subcommand(
  {
    name: 'aci trust',
    synopsis: '[OPTIONS] --prefix NAME|--root [KEY…]',
    about: 'Trusts keys to sign images whose name is the prefix or begins with it and a slash, or all images. A key is a file or URL; without one discovery\nfinds those of the prefix. Each is shown for review.',
    options: {
      prefix: value('NAME', 'for images of this name and below'),
      root: flag('for all images'),
      skipFingerprintReview: flag('do not ask'),
      insecureAllowHttp: flag('take keys by http too'),
      system: flag('keep them for everybody, in /etc/vmm/trustedkeys (default: in the user’s ~/.config/vmm/trustedkeys)'),
      port: PORT,
      help: HELP,
    },
  },
  [0, Number.POSITIVE_INFINITY, 'keys'],
  async (texts, options) => {
    const { prefix, root } = options;
    if ((prefix === undefined) === !root) throw new VmmError('USAGE', 'aci trust takes --prefix NAME or --root', { hint: 'see `vmm aci trust --help`' });
    if (root && texts.length === 0) throw new VmmError('USAGE', 'aci trust --root takes keys', { hint: 'only a prefix’s keys can be discovered' });
    const session = new AciSession({ ...common(), insecure: { ...NOTHING, http: options.insecureAllowHttp }, port: options.port });
    const paths = keystorePaths(process.env);
    try {
      const found = texts.length === 0 ? (await session.findKeys(prefix ?? '')).map(({ key, url }) => ({ key, where: url.href })) : await Promise.all(texts.map(async (text) => ({ key: await keyFrom(session, text), where: text })));
      for (const { key, where } of found) {
        if (!options.skipFingerprintReview && !(await ask(key, where, prefix))) throw new VmmError('USAGE', `key ${fingerprintOf(key)} was not taken`);
        print(`${trustKey(options.system ? paths.system : paths.user, prefix, key)}\n`);
      }
      return 0;
    } finally {
      session.close();
    }
  },
);

async function keyFrom(session: AciSession, text: string): Promise<Key> {
  return /^https?:/.test(text) ? session.keyAt(new URL(text), undefined) : readPublicKey(readBounded(text, ARMOUR_MAX), text);
}

/** Shows a key, and asks on the terminal. */
async function ask(key: Key, where: string, prefix: string | undefined): Promise<boolean> {
  if (!process.stdin.isTTY) throw new VmmError('USAGE', 'there is no terminal to review the key on', { hint: 'check its fingerprint elsewhere and give --skip-fingerprint-review' });
  tell(`${described(key, where, prefix)}Do you want to trust it? (yes/no) `);
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line.trim() === 'yes';
  }
  return false;
}

function told(note: (text: string) => void, key: Key, url: URL, name: string): boolean {
  if (url.protocol !== 'https:') return false;
  note(`trusting key ${fingerprintOf(key)} of ${url.href} for ${name}`);
  return true;
}

function described(key: Key, where: string, prefix: string | undefined): string {
  const digits = fingerprintOf(key).toUpperCase().replace(/(.{4})(?=.)/g, '$1 ');
  return `Key for ${prefix === undefined ? 'all images' : oneLine(prefix)}, from ${oneLine(where)}:\n  ${digits}\n${userIdsOf(key).map((id) => `  ${oneLine(id)}\n`).join('')}`;
}

const NOTHING = { image: false, tls: false, http: false };

function common(): AciOptions {
  return { store: new ImageStore(undefined, hostFs), host: hostFs, note: (text) => tell(`vmm: ${oneLine(text)}\n`) };
}

function idText(id: string): string {
  return id.replace(':', '-');
}

function port(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) throw new VmmError('USAGE', `${option}: ${text} is no port`, { hint: 'for example 8443' });
  return Number(text);
}
