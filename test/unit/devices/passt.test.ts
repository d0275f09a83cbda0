/** The start of a passt that is played: a program of that name in PATH, which answers as one chooses. */
import { chmodSync, closeSync, mkdtempSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startPasst } from '../../../vmm/devices/net/passt.ts';
import { watchReadable } from '../../../vmm/host/ffi.ts';

const dir = mkdtempSync(join(tmpdir(), 'vmm-passt-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Starts it with a program that has the question's bytes in `question`, and `send` and `pause` for its answer. */
async function started(answer: string): Promise<{ fd: number; ready: Promise<void> }> {
  const bin = mkdtempSync(join(dir, 'bin-'));
  const program = join(bin, 'passt');
  writeFileSync(program, `#!${process.execPath}
const fs = require('fs');
const question = Buffer.alloc(4096);
const asked = fs.readSync(3, question);
const send = (bytes) => fs.writeSync(3, Buffer.from(bytes));
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
${answer}
`);
  chmodSync(program, 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = bin;
  try {
    return startPasst({ kind: 'passt', addresses: [{ address: '10.0.2.15', prefix: 24 }], gateways: ['10.0.2.2'], mtu: 1500, ports: [] });
  } finally {
    process.env['PATH'] = path;
  }
}

/** The next bytes of the stream. */
async function next(fd: number): Promise<Buffer> {
  await new Promise<void>((resolve) => {
    const watch = watchReadable(fd, () => {
      watch.close();
      resolve();
    });
  });
  const bytes = Buffer.alloc(4096);
  return bytes.subarray(0, readSync(fd, bytes));
}

describe('the answer of passt', () => {
  it.each([
    ['in one piece', 'send([0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 2, 8, 9]);'],
    // As passt of 2023 sends each frame.
    ['its length first', 'send([0, 0, 0, 3]); pause(); send([1, 2, 3]); pause(); send([0, 0, 0, 2, 8, 9]);'],
    ['byte by byte', 'for (const byte of [0, 0, 0, 3, 1, 2, 3]) { send([byte]); pause(); } send([0, 0, 0, 2, 8, 9]);'],
  ])('%s: the frame behind it is the card’s, whole', async (_name, answer) => {
    const { fd, ready } = await started(`${answer}\nfs.readSync(3, question);`);
    try {
      await ready;
      expect([...await next(fd)]).toEqual([0, 0, 0, 2, 8, 9]);
    } finally {
      closeSync(fd);
    }
  });

  it('asks by ARP for the gateway; one that ends without an answer is one line', async () => {
    const { fd, ready } = await started("console.error('asked ' + question.subarray(16, 18).toString('hex') + ' ' + [...question.subarray(asked - 4, asked)].join('.'));");
    await expect(ready).rejects.toMatchObject({ code: 'NET_PASST', message: 'passt gives up: asked 0806 10.0.2.2' });
    closeSync(fd);
  });
});
