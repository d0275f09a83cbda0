/** A million hostile inputs for what reads appc's documents: each is read or refused by a VmmError of one line, in bounded time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VmmError } from '../../base/errors.ts';
import { metaTags } from '../../image/appc/meta.ts';
import { readPublicKey } from '../../image/appc/openpgp.ts';
import { Context } from '../../image/appc/schema/context.ts';
import { encodeImageManifest, parseImageManifest } from '../../image/appc/schema/image-manifest.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import { parsePodManifest } from '../../image/appc/schema/pod-manifest.ts';
import { milliOf, parseQuantity, wholeOf } from '../../image/appc/schema/quantity.ts';
import { parseAppText, parseMountPointText, parsePortText } from '../../image/appc/texts.ts';
import { readSignatureFile } from '../../image/appc/verify.ts';
import { Gpg } from '../unit/appc/gpg.ts';
import { Random } from '../support/random.ts';
import { scratch } from '../unit/image/support.ts';

const FOLDER = scratch();

const ID = `sha512-${'a'.repeat(128)}`;
const NAMES = ['resource/memory', 'resource/cpu', 'os/linux/capabilities-retain-set', 'os/linux/seccomp-remove-set', 'os/linux/oom-score-adj', 'os/unix/sysctl', 'example.org/x'];
const IMAGE = JSON.stringify({
  acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/a', labels: [{ name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }], pathWhitelist: ['/a'],
  app: {
    exec: ['/a'], user: '0', group: '0', supplementaryGIDs: [1], workingDirectory: '/', environment: [{ name: 'A', value: 'b' }], eventHandlers: [{ name: 'pre-start', exec: ['/x'] }],
    mountPoints: [{ name: 'm', path: '/m', readOnly: true }], ports: [{ name: 'p', protocol: 'tcp', port: 80, count: 1 }],
    isolators: NAMES.slice(0, 5).map((name) => ({ name, value: { limit: '1G', set: ['CAP_KILL'], errno: 'EPERM' } })),
  },
  dependencies: [{ imageName: 'b', imageID: ID, size: 5 }], annotations: [{ name: 'created', value: '2020-01-01T00:00:00Z' }],
});
const POD = JSON.stringify({
  acKind: 'PodManifest', acVersion: '0.8.11', apps: [{ name: 'a', image: { id: ID }, mounts: [{ volume: 'v', path: '/v' }] }], volumes: [{ name: 'v', kind: 'host', source: '/s' }, { name: 'w', kind: 'empty', mode: '0755' }],
  isolators: [{ name: 'os/unix/sysctl', value: { a: 'b' } }], ports: [{ name: 'p', hostPort: 80 }], annotations: null,
});
const TOKENS = ['null', 'true', '0', '-1', '1e400', '""', '"\\u0000"', '{}', '[]', '[[', '{"', ',', ':', '"__proto__"', '"constructor"', '"name"', '"value"', '"set"', '9007199254740993', '"K"', '"1Ki"', ...NAMES.map((name) => `"${name}"`)];

/** A piece of the text goes, comes again, or becomes something else. */
function mutated(text: string, random: Random): string {
  let result = text;
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(result.length + 1);
    const length = random.below(12);
    const what = random.below(4);
    const put = what === 0 ? '' : what === 1 ? random.of(TOKENS) : what === 2 ? String.fromCharCode(random.below(256)) : result.slice(random.below(result.length + 1)).slice(0, 30);
    result = result.slice(0, at) + put + result.slice(at + length);
  }
  return result;
}

/** How many were read. Anything but a VmmError of one line fails. */
async function fuzz(cases: number, seed: number, read: (random: Random) => unknown): Promise<number> {
  const random = new Random(seed);
  let fine = 0;
  for (let i = 0; i < cases; i++) {
    try {
      await read(random);
      fine += 1;
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      if (error.message.includes('\n') || error.message.length > 2000) throw new Error(`no line for a user: ${JSON.stringify(error.message.slice(0, 300))}`);
    }
  }
  return fine;
}

describe('appc', () => {
  test('400,000 image manifests; what is valid stays so when it is written anew', async () => {
    const fine = await fuzz(400_000, 1, (random) => {
      const bytes = Buffer.from(mutated(IMAGE, random));
      const manifest = parseImageManifest(bytes, new Context('m', { keepUnknownIsolators: true }));
      if (manifest.app !== undefined) isolationOf(manifest.app);
      parseImageManifest(Buffer.from(encodeImageManifest(manifest)), new Context('m', { keepUnknownIsolators: true }));
    });
    expect(fine).toBeGreaterThan(1000);
  });

  test('200,000 pod manifests', async () => {
    expect(await fuzz(200_000, 2, (random) => parsePodManifest(Buffer.from(mutated(POD, random)), new Context('m')))).toBeGreaterThan(1000);
  });

  test('200,000 texts: apps, ports, mount points, quantities', async () => {
    const letters = ['a', '1', '-', '.', '/', ':', ',', '=', ' ', 'K', 'i', 'E', 'e', '+', 'é', '\0', 'port', 'path', 'protocol', 'version'];
    const fine = await fuzz(200_000, 3, (random) => {
      const text = Array.from({ length: random.below(10) }, () => random.of(letters)).join('');
      const quantity = parseQuantity(text);
      if (quantity !== undefined && quantity.nano >= 0n && milliOf(quantity) < wholeOf(quantity)) throw new Error(`${text}: less thousandths than units`);
      return random.of([parseAppText, parsePortText, parseMountPointText])(text);
    });
    expect(fine).toBeGreaterThan(100);
  });

  test('150,000 discovery pages', async () => {
    const page = '<html><head><!-- x --><meta name="ac-discovery" content="a.b/c https://a.b/{name}-{version}.{ext}"><meta name=\'ac-discovery-pubkeys\' content=a.b></head><body>';
    expect(await fuzz(150_000, 4, (random) => metaTags(mutated(page, random)))).toBe(150_000);
  });

  test('50,000 signatures and keys, armoured and not', async () => {
    const gpg = new Gpg(join(FOLDER, 'gnupg'));
    gpg.make('k', 'rsa2048');
    const file = join(FOLDER, 'x');
    writeFileSync(file, 'x');
    const armoured = gpg.sign('k', file).toString('latin1');
    const binary = gpg.sign('k', file, '--no-armor').toString('latin1');
    const key = gpg.public('k');
    const start = performance.now();
    const fine = await fuzz(50_000, 5, (random) => {
      const what = random.below(3);
      if (what === 2) return readPublicKey(Buffer.from(mutated(key, random), 'latin1'), 'key');
      return readSignatureFile(Buffer.from(mutated(what === 0 ? armoured : binary, random), 'latin1'), 'x.asc');
    });
    expect(fine).toBeGreaterThan(10);
    expect((performance.now() - start) / 50_000).toBeLessThan(50);
  });
});
