// Makes dist/kernel-blocks.bin, for `npm run build`: the blocks that the software CPU decodes in a boot of our own kernel and in a container's start.
// Usage: node scripts/kept-blocks/main.ts IMAGE COMMAND
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { KEPT_SIZE } from '../../assembly/core/layout.ts';
import { keptFile } from '../../vmm/core/kept-blocks.ts';
import { root } from '../lib.mjs';
import { Recorder } from './recorder.ts';

const [image, command] = process.argv.slice(2) as [string, string];
const { ContainerRun, hostFs, resolveImage } = (await import(join(root, 'dist', 'vmm.js'))) as typeof import('../../vmm/api/index.ts');
const recorder = new Recorder();
const counted = { shift: 0, seed: 0n, rtc: 0, watch: (memory: WebAssembly.Memory) => recorder.look(memory) };
const run = new ContainerRun(await resolveImage(image, { host: hostFs }), { command: [command] }, { memoryMib: 512, accel: 'wasm', counted, jit: { mode: 'off' } }, { stdout: () => {}, stderr: () => {} });
const result = await run.run();
if (result.kind !== 'exited' || result.status.status !== 0) throw new Error(`the recorded container ended otherwise: ${result.kind}`);
const content = recorder.content();
if (content.length > KEPT_SIZE) throw new Error(`${content.length} bytes of blocks, room for ${KEPT_SIZE}`);
const path = join(root, 'dist', 'kernel-blocks.bin');
writeFileSync(`${path}.${process.pid}`, keptFile(content, crc32(readFileSync(join(root, 'dist', 'core.wasm')))));
renameSync(`${path}.${process.pid}`, path);
