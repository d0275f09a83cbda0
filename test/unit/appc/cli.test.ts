/** The way of an image from who made it to who runs it: signed, published on a web server, found by its name, trusted, fetched, rendered; with vmm's commands and gpg's. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIN, type CliResult, vmm } from '../../support/cli/cli.ts';
import { Terminal } from '../../support/cli/terminal.ts';
import { scratch } from '../image/support.ts';
import { Gpg } from './gpg.ts';
import { tarFile } from './support.ts';
import { type WebServer, webServer } from './web-server.ts';

const FOLDER = scratch();
const gpg = new Gpg(join(FOLDER, 'gnupg'));
const HOST = '127.0.0.1';
const NAME = `${HOST}/tools/app`;
let web: WebServer;
let env: Record<string, string>;
const secret = join(FOLDER, 'secret.asc');
const root = join(FOLDER, 'www');
const file = join(FOLDER, 'app.aci');

beforeAll(async () => {
  gpg.make('maker', 'rsa2048');
  writeFileSync(secret, gpg.secret('maker'));
  writeFileSync(file, tarFile({ name: 'manifest', data: JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: NAME, labels: [{ name: 'version', value: '1.0.0' }, { name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }] }) }, { name: 'rootfs/', type: '5' }, { name: 'rootfs/x', data: 'hello' }));
  web = await webServer(FOLDER, HOST);
  env = { HOME: join(FOLDER, 'home'), XDG_CONFIG_HOME: join(FOLDER, 'home/.config'), VMM_STORE: join(FOLDER, 'store'), SSL_CERT_FILE: web.ca };
  mkdirSync(env['HOME'] as string);
});
afterAll(() => web.stop());

const run = (...args: string[]): Promise<CliResult> => vmm(args, { env });

async function ok(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.toString();
}

async function fails(message: RegExp, ...args: string[]): Promise<void> {
  const { status, stderr } = await run(...args);
  expect(stderr).toMatch(message);
  expect({ status, lines: stderr.split('\n').length }).toEqual({ status: 125, lines: 2 });
}

/** Puts what is in the published root onto the server; URLs without a port would go to 443. */
function serveRoot(): void {
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (/\.(aci|asc|html)$/.test(name)) {
      const bytes = readFileSync(join(root, name));
      const at = `/${name.replace(/\/index\.html$/, '')}`;
      web.pages[at] = name.endsWith('.html') ? bytes.toString('utf8').replaceAll('https://{name}', `https://${HOST}:${web.port}/tools/app`).replaceAll(`https://${HOST}/`, `https://${HOST}:${web.port}/`) : bytes;
    }
  }
}

describe('vmm aci', () => {
  test('sign writes what gpg verifies, verify what it says', async () => {
    expect(await ok('aci', 'sign', '--key', secret, file)).toBe(`${file}.asc by ${gpg.fingerprint('maker')}\n`);
    expect(gpg.run('--status-fd', '1', '--verify', `${file}.asc`, file)).toContain('GOODSIG');
    await fails(/is there already .*\[IMAGE_WRITE\]/, 'aci', 'sign', '--key', secret, file);
    await fails(/unknown entity .*\[ACI_UNTRUSTED\]/, 'aci', 'verify', file);
    await fails(/a key is needed .*\[USAGE\]/, 'aci', 'sign', file);
  });

  test('publish, discover, trust, fetch and render, by name', async () => {
    const published = await ok('aci', 'publish', '--key', secret, root, file);
    expect(published.split('\n').slice(0, 2)).toEqual(['tools/app-1.0.0-linux-amd64.aci', 'tools/app-1.0.0-linux-amd64.aci.asc']);
    expect(published).toContain(`https://${HOST}/tools/app?ac-discovery=1\n`);
    serveRoot();
    const port = ['--port', String(web.port)];
    const discovered = await ok('aci', 'discover', '--json', ...port, `${NAME}:1.0.0`);
    expect(JSON.parse(discovered)).toMatchObject({ ACIEndpoints: [{ ACI: `https://${HOST}:${web.port}/tools/app-1.0.0-linux-amd64.aci`, ASC: `https://${HOST}:${web.port}/tools/app-1.0.0-linux-amd64.aci.asc` }, {}], PublicKeys: [`https://${HOST}:${web.port}/tools/app/pubkeys.asc`] });
    await fails(/unknown entity .*\[ACI_UNTRUSTED\]/, 'aci', 'fetch', ...port, `${NAME}:1.0.0`);
    // A key is trusted by who has looked at it: here nobody can.
    await fails(/no terminal to review .*\[USAGE\]/, 'aci', 'trust', ...port, '--prefix', NAME);
    const kept = join(env['XDG_CONFIG_HOME'] as string, 'vmm/trustedkeys/prefix.d', NAME, gpg.fingerprint('maker'));
    expect(await ok('aci', 'trust', ...port, '--prefix', NAME, '--skip-fingerprint-review')).toBe(`${kept}\n`);
    expect(gpg.run('--show-keys', kept)).toContain('maker@example.org');
    expect(await ok('aci', 'verify', file)).toBe(`${NAME} is signed by ${gpg.fingerprint('maker')}\n`);
    const id = (await ok('aci', 'fetch', ...port, `${NAME}:1.0.0`)).trim();
    expect(id).toMatch(/^sha512-[0-9a-f]{128}$/);
    // The latest is there too, and is the same image.
    web.asked.length = 0;
    expect((await ok('aci', 'fetch', '--pull-policy', 'new', ...port, NAME)).trim()).toBe(id);
    expect(web.asked).toEqual([]);
    await ok('aci', 'render', `aci:${NAME}:1.0.0`, join(FOLDER, 'rendered'));
    expect(readFileSync(join(FOLDER, 'rendered', 'x'), 'utf8')).toBe('hello');
    expect((await ok('image', 'ls')).split('\n')[1]).toMatch(new RegExp(`^${NAME} +1\\.0\\.0 `));
  });

  test('a key is shown on a terminal and taken for yes, for nothing else', async () => {
    const key = join(FOLDER, 'maker.pub');
    writeFileSync(key, gpg.public('maker'));
    const digits = gpg.fingerprint('maker').toUpperCase().replace(/(.{4})(?=.)/g, '$1 ');
    for (const [answer, taken] of [['y', false], ['yes', true]] as const) {
      const terminal = new Terminal(`'${process.execPath}' -- '${BIN}' aci trust --prefix ${HOST}/by-hand '${key}'`, env);
      await terminal.until(/\(yes\/no\)/);
      expect(terminal.output).toContain(digits);
      terminal.type(`${answer}\n`);
      expect(await terminal.status).toBe(taken ? 0 : 125);
    }
  });

  test('a signed file runs, by path and by name; what is not signed does not', async () => {
    await ok('aci', 'render', file, join(FOLDER, 'from-file'));
    const bare = join(FOLDER, 'bare.aci');
    writeFileSync(bare, tarFile({ name: 'manifest', data: JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'e.org/bare' }) }, { name: 'rootfs/', type: '5' }));
    await fails(/is not signed .*--insecure-options=image.*\[ACI_UNSIGNED\]/, 'run', bare);
    await ok('image', 'import', '-q', bare);
    await fails(/\[ACI_UNSIGNED\]/, 'run', 'e.org/bare');
    await fails(/no command specified.*\[USAGE\]/, 'run', '--insecure-options=image', 'e.org/bare');
    await fails(/--insecure-options: everything is not known .*\[USAGE\]/, 'run', '--insecure-options=everything', bare);
  });

  test('a fetch that is killed anywhere leaves a store that is whole, and the next one works', async () => {
    const port = String(web.port);
    const at = '/tools/app-1.0.0-linux-amd64.aci';
    const bytes = web.pages[at] as Buffer;
    const own = { ...env, VMM_STORE: join(FOLDER, 'killed-store') };
    for (let when = 0; when <= 8; when++) {
      const child = spawn(process.execPath, ['--', BIN, 'aci', 'fetch', '--port', port, `${NAME}:1.0.0`], { env: { ...process.env, ...own, NODE_OPTIONS: '', NODE_ENV: '' }, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.on('close', resolve));
      // At the first byte, in the middle, at the last one, and at some times behind it.
      web.pages[at] = (_, response) => {
        response.writeHead(200, { 'content-length': bytes.length });
        if (when < 2) response.write(bytes.subarray(0, when * 1000 + 1), () => child.kill('SIGKILL'));
        else response.end(bytes, () => void setTimeout(() => child.kill('SIGKILL'), (when - 2) * 15));
      };
      await ended;
      const { status, stdout } = await vmm(['image', 'fsck'], { env: own });
      expect({ status, said: stdout.toString() }).toMatchObject({ status: 0 });
    }
    web.pages[at] = bytes;
    const { status, stdout } = await vmm(['aci', 'fetch', '--port', port, `${NAME}:1.0.0`], { env: own });
    expect({ status, id: stdout.toString() }).toEqual({ status: 0, id: expect.stringMatching(/^sha512-/) });
    expect(readdirSync(join(FOLDER, 'killed-store', 'tmp'))).toEqual([]);
  });

  test('a page that somebody else wrote stays', async () => {
    const other = join(FOLDER, 'other-www');
    mkdirSync(join(other, 'tools/app'), { recursive: true });
    writeFileSync(join(other, 'tools/app/index.html'), 'mine');
    await fails(/not of vmm .*\[IMAGE_WRITE\]/, 'aci', 'publish', '--key', secret, other, file);
    expect(readFileSync(join(other, 'tools/app/index.html'), 'utf8')).toBe('mine');
  });
});
