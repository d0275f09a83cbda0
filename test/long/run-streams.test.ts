/**
 * A container's standard streams, 100 MB each way. VMM_FIGURES=1 prints the rates (docs/measurements-history.md).
 */
import { spawn } from 'node:child_process';
import { createHash, type Hash, randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { ROOT } from '../support/cli/cli.ts';

const BYTES = 100_000_000;
const PIECE = 1_000_000;
const LIMIT_MS = 600_000;

let image: string;
let store: string;
let digest: string;
/** Not one byte is where a lost or doubled piece would leave the same digest. */
const data = Buffer.alloc(BYTES);

beforeAll(() => {
  image = busyboxImage();
  store = mkdtempSync(join(tmpdir(), 'vmm-store-'));
  for (let at = 0; at < BYTES; at += PIECE) randomFillSync(data, at, PIECE);
  writeFileSync(join(image, 'data'), data);
  digest = createHash('sha256').update(data).digest('hex');
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(store, { recursive: true });
});

interface Streams {
  readonly status: number | null;
  readonly stdout: { readonly bytes: number; readonly digest: string };
  readonly stderr: { readonly bytes: number; readonly digest: string; readonly text: string };
  /** From the first byte of standard output to its last. */
  readonly seconds: number;
}

function run(options: readonly string[], script: string, stdin?: Buffer): Promise<Streams> {
  return new Promise((resolve, reject) => {
    const env: Record<string, string | undefined> = { ...process.env, VMM_STORE: store };
    for (const name of Object.keys(env)) if (name.startsWith('NODE_') || name.startsWith('VITEST')) delete env[name];
    const bin = process.env['VMM_BIN'] ?? join(ROOT, 'bin', 'vmm.js');
    const child = spawn(process.execPath, ['--', bin, 'run', '-q', '--accel', 'wasm', '-m', '256m', ...options, image, 'sh', '-c', script], { cwd: ROOT, env, stdio: 'pipe' });
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    const sink = (stream: Readable): { hash: Hash; bytes: number; first: number; last: number; text: string } => {
      const state = { hash: createHash('sha256'), bytes: 0, first: 0, last: 0, text: '' };
      stream.on('data', (chunk: Buffer) => {
        state.last = performance.now();
        if (state.bytes === 0) state.first = state.last;
        state.bytes += chunk.length;
        state.hash.update(chunk);
        if (state.text.length < 1000) state.text += chunk.toString('latin1').slice(0, 1000);
      });
      return state;
    };
    const out = sink(child.stdout);
    const err = sink(child.stderr);
    child.stdin.on('error', () => {});
    if (stdin) Readable.from((function* () {
      for (let at = 0; at < stdin.length; at += PIECE) yield stdin.subarray(at, at + PIECE);
    })()).pipe(child.stdin);
    else child.stdin.end();
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      const seconds = (out.last - out.first) / 1000;
      if (process.env['VMM_FIGURES']) process.stderr.write(`${script}: ${((out.bytes - 1) / 1e6 / seconds).toFixed(1)} MB/s\n`);
      resolve({
        status,
        stdout: { bytes: out.bytes, digest: out.hash.digest('hex') },
        stderr: { bytes: err.bytes, digest: err.hash.digest('hex'), text: err.text },
        seconds,
      });
    });
  });
}

describe('100 MB through the standard streams of a container', { timeout: LIMIT_MS + 10_000 }, () => {
  it('standard output arrives whole, the status after it', async () => {
    const result = await run([], 'cat /data; echo done >&2; exit 7');
    expect(result.stderr.text).toBe('done\n');
    expect(result.stdout).toEqual({ bytes: BYTES, digest });
    expect(result.status).toBe(7);
  });

  it('standard input through cat to standard output arrives whole', async () => {
    const result = await run(['-i'], 'cat', data);
    expect(result.stderr.text).toBe('');
    expect(result.stdout).toEqual({ bytes: BYTES, digest });
    expect(result.status).toBe(0);
  });

  it('standard output and standard error at the same time arrive whole and apart', async () => {
    const result = await run(['--cpus', '2'], 'cat /data & tail -c 20000000 /data >&2; wait');
    expect(result.stdout).toEqual({ bytes: BYTES, digest });
    const tail = createHash('sha256').update(data.subarray(BYTES - 20_000_000)).digest('hex');
    expect({ bytes: result.stderr.bytes, digest: result.stderr.digest }).toEqual({ bytes: 20_000_000, digest: tail });
    expect(result.status).toBe(0);
  });
});
