/** examples/run-python, with the host's Python in a directory as its image. */
import { mkdirSync, mkdtempSync, cpSync, rmSync, symlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/cli/cli.ts';
import { pythonImage } from '../support/guests/python-image.ts';
import { HANG_MS } from '../support/limits.ts';

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly truncated: boolean;
}

const image = pythonImage();
const folder = mkdtempSync(join(tmpdir(), 'vmm-example-'));
const servers: Server[] = [];
/** One with the example's limits but for a loaded machine, and one whose patience is short. */
let [url, short] = ['', ''];
beforeAll(async () => {
  process.env['VMM_STORE'] = join(folder, 'store');
  // As its users have it: `vmm` is a package beside it.
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'vmm'));
  cpSync(join(ROOT, 'examples', 'run-python', 'server.mjs'), join(folder, 'server.mjs'));
  const { serve } = (await import(/* @vite-ignore */ pathToFileURL(join(folder, 'server.mjs')).href)) as { serve(image: string, limits?: { codeMs?: number }): Server };
  [url, short] = (await Promise.all([serve(image ?? '', { codeMs: HANG_MS }), serve(image ?? '', { codeMs: 500 })].map(async (server) => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`;
  }))) as [string, string];
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  for (const path of [image ?? join(folder, 'none'), folder]) rmSync(path, { recursive: true, force: true });
});

const post = async (code: string, to = url): Promise<{ status: number; ran: Ran }> => {
  const response = await fetch(to, { method: 'POST', body: code });
  return { status: response.status, ran: (await response.json()) as Ran };
};

describe.skipIf(image === undefined)('run this Python', () => {
  it('runs it, as nobody, with its output and status', async () => {
    const { status, ran } = await post('import json, os, sys\nprint(json.dumps([sum(range(10)), os.getuid()]))\nprint("oh", file=sys.stderr)\nsys.exit(3)');
    expect([status, ran]).toEqual([200, { status: 3, stdout: '[45, 65534]\n', stderr: 'oh\n', timedOut: false, truncated: false }]);
  });

  it('what does not end, says too much, takes too much or wants out gets no further than its machine', async () => {
    const wants = `import socket
for want in [lambda: bytearray(1 << 30), lambda: socket.create_connection(("192.0.2.1", 80), 3), lambda: open("/usr/x", "w")]:
  try: want()
  except Exception as error: print(repr(error))
while True: print("x" * 1000)`;
    const [late, loud] = await Promise.all([post('while True: pass', short), post(wants)]);
    expect(late.ran).toMatchObject({ status: 137, timedOut: true });
    expect(loud.ran.stdout.split('\n').slice(0, 3)).toEqual(['MemoryError()', "OSError(101, 'Network is unreachable')", "OSError(30, 'Read-only file system')"]);
    expect([loud.ran.status, loud.ran.truncated, loud.ran.stdout.length]).toEqual([137, true, 65_536]);
  });

  it('what is no request of its kind is told so, and who goes away leaves nothing that runs', async () => {
    expect((await fetch(url)).status).toBe(404);
    expect((await post('#'.repeat(70_000))).status).toBe(413);
    await expect(fetch(url, { method: 'POST', body: 'while True: pass', signal: AbortSignal.timeout(300) })).rejects.toThrow(/abort|timeout/i);
    expect((await post('print("next")')).ran.stdout).toBe('next\n');
  });
});
