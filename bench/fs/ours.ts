/** Our virtio-fs device, served by its own thread, with notifications and interrupts by eventfds as on KVM. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FS_LOCKS, FS_SUBMOUNTS, FS_TAG_BYTES } from '../../assembly/contract/fs.ts';
import { RAM_BASE, SCRATCH_BASE } from '../../assembly/core/layout.ts';
import { instantiateCore } from '../../vmm/core/instance.ts';
import { ChangeBox } from '../../vmm/devices/fs/changes.ts';
import { Heartbeat } from '../../vmm/devices/fs/heartbeat.ts';
import { Mailbox } from '../../vmm/devices/fs/mailbox.ts';
import type { ShareThread } from '../../vmm/devices/fs/thread.ts';
import { eventfd, eventfdSignal } from '../../vmm/host/sys.ts';
import { O_PATH } from '../../vmm/host/uapi/linux.ts';
import { SharedWords } from '../../vmm/threads/words.ts';
import { ROOT } from '../harness.ts';
import { startDevice } from '../virtio-mmio.ts';
import { benchMemory, RAM_BYTES, TABLE_BYTES } from './memory.ts';
import { Ring, RING_ENTRIES } from './ring.ts';
import type { FsServer } from './server.ts';

const BELL = 1;
const RING_GPA = 0x1_0000;
const LINES = 32;

export async function ourServer(dir: string): Promise<FsServer> {
  const { memory } = benchMemory();
  const module = new WebAssembly.Module(readFileSync(join(ROOT, 'dist', 'core-kvm.wasm')));
  const core = instantiateCore(module, memory, {});
  if (core.machine_init(RAM_BYTES, 1, 0) !== 0) throw new Error('machine_init');
  const tag = new Uint8Array(memory.buffer, SCRATCH_BASE, FS_TAG_BYTES);
  tag.fill(0);
  tag[0] = 0x74;
  if (core.fs_add(0, SCRATCH_BASE, FS_SUBMOUNTS | FS_LOCKS) !== 0) throw new Error('fs_add');
  const [command, kick, irq] = [eventfd(), eventfd(), eventfd()];
  const words = new SharedWords();
  words.setBellFd(BELL, command);
  const ring = new Ring(memory.buffer, RING_GPA, () => eventfdSignal(kick));
  const { bus_mmio_write: writeRegister } = core as unknown as { bus_mmio_write(gpa: bigint, size: number, value: bigint): void };
  startDevice(writeRegister, 0, 0, [new Ring(memory.buffer, RING_GPA + 4096, () => {}), ring], RING_ENTRIES);
  const fd = openSync(dir, O_PATH);
  const own: ShareThread['own'] = {
    shares: [{ number: 0, name: '', slot: 0, fd, readOnly: false, crossing: true, mapped: false, cache: 'auto', writeback: false, watch: false, quota: undefined }],
    table: { base: RAM_BASE + RAM_BYTES, size: TABLE_BYTES },
    descriptors: { paths: 4096 },
    mailbox: new Mailbox().buffer,
    changes: new ChangeBox().buffer,
    heart: new Heartbeat().buffer,
    rates: [],
    lock: undefined,
  };
  const data: ShareThread = {
    module, memory, words: words.buffer, trace: undefined, ramSize: RAM_BYTES, bell: BELL, queues: [{ slot: 0, queues: 2, fd: kick }], irqfds: new Array<number>(LINES).fill(irq), commandFd: command, own,
  };
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: data, execArgv: process.execArgv });
  const tid = await new Promise<number>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: { tid: number }) => resolve(message.tid));
  });
  return {
    memory,
    ring,
    stat: `/proc/self/task/${tid}/stat`,
    close: async () => {
      words.end(BELL);
      eventfdSignal(command);
      await new Promise((resolve) => worker.once('exit', resolve));
      closeSync(fd);
    },
  };
}
