/** `vmm image ls`, `inspect` and `history` beside Docker's client, which shows what our own `inspect` says, and beside podman, which has the same archive. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vmm } from '../../support/cli/cli.ts';
import { DOCKER } from '../../support/cli/docker-client.ts';

interface Inspected {
  readonly Id: string;
  readonly RepoTags: string[];
  readonly RepoDigests: string[];
  readonly Created: string;
  readonly Size: number;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly History: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

const NAMES = ['registry.example/team/demo:1', 'registry.example/team/demo:2', 'registry.example:5000/other:edge'];
/** Bytes of each layer: what `tar` writes at least. */
const LAYER = 10240;
const LIMIT = { timeout: 120_000 };
let dir: string;
let env: Record<string, string>;
let images: Inspected[];
let server: Server;

/** One layer, and two steps without one; `docker save` writes such archives. */
function configOf(i: number, diffId: string): unknown {
  const at = (minute: number): string => `2024-0${i + 1}-02T03:${minute}:05.000000006Z`;
  const config = { User: '7:8', Env: ['PATH=/bin', `N=${i}`], Cmd: ['sh', '-c', 'echo "a b"'], Entrypoint: i === 1 ? ['/init'] : null, WorkingDir: '/srv', Labels: { common: 'yes', number: `${i}` }, StopSignal: 'SIGINT', ExposedPorts: { '80/tcp': {} }, Volumes: { '/data': {} }, OnBuild: ['RUN x'], Shell: ['/bin/dash', '-c'] };
  const history = [
    { created: at(10), created_by: '/bin/sh -c #(nop) ADD file:0123456789012345678901234567890123456789012345678901234567890123 in / ', comment: 'first' },
    { created: at(20), created_by: '/bin/sh -c #(nop)  CMD ["sh"]', empty_layer: true },
    { created: at(30), created_by: 'ENV\tN', author: 'someone', comment: 'last', empty_layer: true },
  ];
  return { architecture: 'amd64', os: 'linux', author: 'someone', created: at(30), config, history, rootfs: { type: 'layers', diff_ids: [diffId] } };
}

function makeArchive(path: string): void {
  const folder = join(dir, 'archive');
  const manifest = NAMES.map((name, i) => {
    const root = join(folder, `root${i}`);
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'file'), `image ${i}`);
    execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-cf', join(folder, `${i}.tar`), 'file'], LIMIT);
    const diffId = `sha256:${createHash('sha256').update(execFileSync('cat', [join(folder, `${i}.tar`)], LIMIT)).digest('hex')}`;
    const config = Buffer.from(JSON.stringify(configOf(i, diffId)));
    const id = createHash('sha256').update(config).digest('hex');
    writeFileSync(join(folder, `${id}.json`), config);
    return { Config: `${id}.json`, RepoTags: [name], Layers: [`${i}.tar`] };
  });
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  execFileSync('tar', ['-C', folder, '-cf', path, 'manifest.json', ...manifest.flatMap(({ Config, Layers }) => [Config, ...Layers])], LIMIT);
}

/** What it prints, when it ends well and says nothing else. */
async function ours(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await vmm(args, { env });
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout.toString();
}

function docker(...args: string[]): Promise<string> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    execFile(DOCKER as string, ['-H', `tcp://127.0.0.1:${port}`, ...args], { ...LIMIT, env: { PATH: process.env['PATH'], TZ: 'UTC', HOME: dir, DOCKER_CONFIG: dir } }, (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stderr))));
  });
}

function podman(...args: string[]): string {
  return execFileSync('podman', ['--root', join(dir, 'podman'), '--runroot', join(dir, 'podman-run'), '--storage-driver', 'vfs', ...args], { ...LIMIT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const hasPodman = ((): boolean => {
  try {
    return execFileSync('podman', ['--version'], { ...LIMIT, encoding: 'utf8' }).startsWith('podman version 4');
  } catch {
    return false;
  }
})();

/** The daemon of Docker's API that knows what our `inspect` knows. */
function answer(path: string): unknown {
  const seconds = (time: unknown): number => Math.floor(Date.parse(`${time}`) / 1000);
  if (path.includes('/images/json')) return images.map(({ Id, RepoTags, RepoDigests, Created, Size }) => ({ Id, RepoTags, RepoDigests, Created: seconds(Created), Size, VirtualSize: Size, SharedSize: -1, Containers: -1 }));
  const [, id = ''] = /\/images\/([0-9a-f]{12,64}|sha256:[0-9a-f]+)\/history/.exec(path) ?? [];
  const image = images.find(({ Id }) => Id.includes(id));
  if (id === '' || image === undefined) return 'OK';
  return [...image.History].reverse().map((step, i) => ({ Id: i === 0 ? image.Id : '<missing>', Created: seconds(step['created']), CreatedBy: step['created_by'], Comment: step['comment'] ?? '', Size: step['empty_layer'] === true ? 0 : LAYER, Tags: null }));
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-image-docker-'));
  env = { VMM_STORE: join(dir, 'store') };
  makeArchive(join(dir, 'three.tar'));
  expect((await ours('load', '-q', '-i', join(dir, 'three.tar'))).trimEnd().split('\n').map((line) => line.split(' ')[1])).toEqual(NAMES);
  images = JSON.parse(await ours('image', 'inspect', ...NAMES)) as Inspected[];
  server = createServer((request, response) => {
    response.setHeader('Api-Version', '1.41');
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer(request.url ?? '')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  if (hasPodman) podman('load', '-q', '-i', join(dir, 'three.tar'));
}, 300_000);

afterAll(() => {
  server.closeAllConnections();
  server.close();
  // podman may have left mounts' folders that only it may enter.
  execFileSync('chmod', ['-R', 'u+rwx', dir], LIMIT);
  rmSync(dir, { recursive: true, force: true });
});

const sorted = (text: string): string[] => text.trimEnd().split('\n').sort();

describe.skipIf(DOCKER === undefined)('as Docker’s client has it', () => {
  it.each([
    [], ['--digests'], ['--no-trunc'], ['-a'], ['-q'], ['-q', '--no-trunc'],
    ['--format', '{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}} {{.VirtualSize}}'],
    ['--format', 'table {{.ID}}\\t{{.CreatedAt}}\\t{{.Repository}}:{{.Tag}}'],
  ])('images %s %s %s', async (...args) => {
    const [first, ...rest] = sorted(await ours('images', ...args));
    expect([first, ...rest]).toEqual(sorted(await docker('images', ...args)));
  }, 120_000);

  it('images --format json', async () => {
    const one = (text: string): Record<string, string> => JSON.parse(sorted(text)[0] as string) as Record<string, string>;
    expect(one(await ours('images', '--format', 'json'))).toMatchObject(one(await docker('images', '--format', '{{json .}}')));
  }, 120_000);

  it.each([[], ['--no-trunc'], ['-q'], ['--human=false'], ['--format', '{{.ID}} {{.CreatedSince}} {{.CreatedAt}} {{.CreatedBy}} {{.Comment}}']])('history %s %s', async (...args) => {
    const id = images[1]?.Id.slice(7, 27) as string;
    expect(await ours('history', ...args, id)).toBe(await docker('history', ...args, id));
  }, 120_000);
});

describe.skipIf(!hasPodman)('as podman has it', () => {
  it('what inspect says of an image', () => {
    const theirs = JSON.parse(podman('image', 'inspect', ...NAMES)) as Inspected[];
    for (const [i, image] of images.entries()) {
      const { Id, RepoTags, Author, Architecture, Os, Created, Labels, RootFS, History, Config } = theirs[i] as Inspected;
      // Podman's ids are without their algorithm; its Config has only what the image says.
      expect(image).toMatchObject({ Id: `sha256:${Id}`, RepoTags, Author, Architecture, Os, Created, Labels, RootFS });
      expect(image.Config).toMatchObject(Config);
      // As Docker, not podman: that of the last step.
      expect(image['Comment']).toBe('last');
      expect(image.History).toEqual(History.map(({ author: _, ...step }) => step));
    }
  });

  it.each([
    'label=common', 'label=common=yes', 'label=number=1', 'label=none', `before=${NAMES[1]}`, `since=${NAMES[0]}`, `since=${NAMES[2]}`, 'dangling=true', 'dangling=false', 'until=2024-02-10',
    'reference=registry.example/team/demo', 'reference=registry.example/team/*', 'reference=registry.example/*/demo:2', 'reference=*/other*:edge',
  ])('images --filter %s', async (filter) => {
    const theirs = podman('images', '-q', '--no-trunc', '--filter', filter);
    expect(sorted(await ours('images', '-q', '--no-trunc', '--filter', filter))).toEqual(sorted(theirs));
  }, 120_000);

  it('exists', async () => {
    for (const [name, status] of [[NAMES[0], 0], ['nothing', 1]] as const) expect(await vmm(['image', 'exists', name as string], { env })).toMatchObject({ status, stderr: '' });
  }, 60_000);
});

describe('of our own', () => {
  it('templates of inspect, the record, and what is not there', async () => {
    const some = await vmm(['image', 'inspect', '-f', '{{.Id}} {{index .Config.Labels "number"}} {{.Config.StopSignal}} {{.Record.path}} {{len .RootFS.Layers}}', 'nothing', NAMES[0] as string], { env });
    expect(some.stdout.toString()).toMatch(new RegExp(`^${images[0]?.Id} 0 SIGINT ${join(dir, 'store')}/\\S+ 1\n$`));
    expect(some).toMatchObject({ status: 1, stderr: expect.stringMatching(/^vmm: no image nothing .*\[IMAGE_NOT_FOUND\]\n$/) });
  });

  it.each([
    [['images', '--filter', 'colour=red'], /dangling=…, label=…/],
    [['images', '--filter', 'dangling=perhaps'], /true or false/],
    [['images', '--filter', 'reference=[z-a]'], /no pattern/],
    [['image', 'tree', 'x'], /vmm image history IMAGE/],
    [['rmi', '-a', 'x'], /takes no names/],
  ])('%j is refused', async (args, says) => {
    expect(await vmm(args, { env })).toMatchObject({ status: 125, stderr: expect.stringMatching(says) });
  });

  it('prune leaves what has labels that nobody can read', async () => {
    const store = { VMM_STORE: join(dir, 'unknown') };
    const root = join(dir, 'archive', 'root0');
    expect(await vmm(['image', 'import', '-q', root, 'plain:1'], { env: store })).toMatchObject({ status: 0 });
    const left = async () => (await vmm(['images', '--format', '{{.Repository}}'], { env: store })).stdout.toString();
    const had = await left();
    expect(had).not.toBe('');
    expect(await vmm(['image', 'prune', '-a', '--filter', 'label!=keep'], { env: store })).toMatchObject({ status: 0, stderr: '' });
    expect(await left()).toBe(had);
    await vmm(['image', 'prune', '-a'], { env: store });
    expect(await left()).toBe('');
  }, 60_000);

  it('one that is not there does not keep the others; prune by label', async () => {
    const store = { VMM_STORE: join(dir, 'other') };
    await vmm(['load', '-q', '-i', join(dir, 'three.tar')], { env: store });
    const some = await vmm(['rmi', 'nothing', NAMES[0] as string], { env: store });
    expect(some).toMatchObject({ status: 125, stderr: expect.stringMatching(/\[IMAGE_NOT_FOUND\]\n$/) });
    expect(some.stdout.toString()).toBe(`removed ${NAMES[0]}\nremoved ${images[0]?.Id}\n`);
    // Of two each has its line.
    expect(await vmm(['rmi', 'nothing', 'never'], { env: store })).toMatchObject({ status: 125, stderr: expect.stringMatching(/^vmm: [^\n]*nothing[^\n]*\n[^\n]*never[^\n]*\[IMAGE_NOT_FOUND\]\n$/) });
    expect(await vmm(['rmi', '-f', 'nothing'], { env: store })).toMatchObject({ status: 0, stderr: '' });
    await vmm(['image', 'prune', '-a', '-f', '--filter', 'label!=number=2'], { env: store });
    expect((await vmm(['images', '--format', '{{.Repository}}:{{.Tag}}'], { env: store })).stdout.toString()).toBe(`${NAMES[2]}\n`);
    await vmm(['image', 'prune', '-a', '-f', '--filter', 'until=2024-01-01'], { env: store });
    expect((await vmm(['images', '-q'], { env: store })).stdout.toString()).not.toBe('');
    await vmm(['rmi', '-a'], { env: store });
    expect((await vmm(['images', '-q'], { env: store })).stdout.toString()).toBe('');
  }, 120_000);
});
