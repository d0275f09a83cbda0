/**
 * The library's face.
 *
 *   import { Machine } from 'vmm';
 *   await using machine = new Machine({ kernel: 'vmlinux', append: 'console=ttyS0', memoryMib: 128, cpus: 1,
 *     accel: 'auto', console: 'serial' }, { console: async (bytes) => { process.stdout.write(bytes); } });
 *   const result = await machine.run({ signal: AbortSignal.timeout(10_000) });
 *
 *   import { ContainerRun, resolveImage } from 'vmm';
 *   const image = await resolveImage('debian');
 *   const run = new ContainerRun(image, { command: ['true'] }, {}, { stdout: (bytes) => …, stderr: (bytes) => … });
 *   const result = await run.run();
 *
 * Failures to build a machine or a container reject with VmmError (docs/errors.md); what the guest does is a result.
 */
export * from './containers.ts';
export * from './counted.ts';
export * from './errors.ts';
export * from './gdb.ts';
export * from './images.ts';
export * from './machine.ts';
export * from './sandbox.ts';
export * from './volumes.ts';
