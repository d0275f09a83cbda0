/** `node bench/counts/traced.ts IMAGE FILE`: IMAGE's /true in virtual time, with each access of a port or a device register as a line of FILE. */
import { join } from 'node:path';
import { ROOT } from '../harness.ts';

const { ContainerRun, hostFs, openTrace, resolveImage, traceMask } = (await import(join(ROOT, 'dist', 'vmm.js'))) as typeof import('../../vmm/api/index.ts');
const [image = '', file = ''] = process.argv.slice(2);
const run = new ContainerRun(
  await resolveImage(image, { host: hostFs }), { command: ['/true'] },
  { memoryMib: 128, accel: 'wasm', counted: { shift: 0, seed: 0n, rtc: 0 }, trace: { mask: traceMask('pio,mmio'), file: openTrace(file) } },
  { stdout: () => {}, stderr: () => {} },
);
const result = await run.run();
if (result.kind !== 'exited' || result.status.status !== 0) throw new Error(`the container ended otherwise: ${result.kind}`);
