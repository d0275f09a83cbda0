/**
 * A machine whose guest works on two disks, a share and a card is paused, again and again: node quiet-program.js ACCEL KERNEL INITRD FOLDER ROUNDS.
 * What changed of its memory and of the host's files while it stood comes back as JSON, and what went on afterwards.
 */
import { readFileSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { AccelName } from '../../vmm/machine/config.ts';
import { Machine } from '../../vmm/machine/machine.ts';

const [accel, kernel = '', initrd = '', folder = '', rounds] = process.argv.slice(2);
const MEMORY_MIB = 64;
/** How long is looked: what moves does so many times meanwhile. */
const LOOK_MS = 150;
/** ARP (RFC 826): who has 10.0.0.2? */
const QUESTION = Buffer.from('ffffffffffff0200000000010806000108000604000102000000000' + '10a00000100000000000' + '00a000002', 'hex');

// The machine makes one, and shows it to nobody.
const memories: WebAssembly.Memory[] = [];
globalThis.WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(...descriptor: ConstructorParameters<typeof WebAssembly.Memory>) {
    super(...descriptor);
    memories.push(this);
  }
};

let output = '';
let answers = 0;
let said = (): void => {};
/** Resolves once `holds` does; looked at whenever the guest has said something. */
function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    said = () => {
      if (!holds()) return;
      said = () => {};
      resolve();
    };
    said();
  });
}

let cable: Socket | undefined;
const ask = (): void => void cable?.write(Buffer.concat([Buffer.from([0, 0, 0, QUESTION.length]), QUESTION]));
const server = createServer((socket) => {
  cable = socket;
  socket.on('data', () => {
    answers++;
    said();
    // An answer for a question, for as long as it runs.
    ask();
  });
});
await new Promise<void>((resolve) => server.listen(join(folder, 'cable'), resolve));

const files = ['disk', 'limited', join('share', 'file')].map((name) => join(folder, name));
const machine = new Machine({
  kernel, initrd, memoryMib: MEMORY_MIB, cpus: 1, accel: accel as AccelName, console: 'serial', append: 'quiet console=ttyS0 panic=-1 tsc=reliable',
  disks: [{ path: join(folder, 'disk'), readOnly: false, id: 'disk' }, { path: join(folder, 'limited'), readOnly: false, id: 'limited', rate: { bytes: { perSecond: 400 << 10, burst: 4096 } } }],
  shares: [{ tag: 'share', root: { path: join(folder, 'share') } }],
  cards: [{ cable: { kind: 'unix', path: join(folder, 'cable') } }],
}, {
  console: async (bytes) => {
    output += Buffer.from(bytes).toString('latin1');
    said();
  },
});
const run = machine.run();

const ram = (): Buffer => Buffer.from(memories.at(-1)?.buffer as unknown as ArrayBuffer, RAM_BASE, MEMORY_MIB << 20);
const hostSide = (): string => JSON.stringify(files.map((path) => [statSync(path).mtimeMs, readFileSync(path).toString('latin1')]));
const times = (word: string): number => output.split(word).length - 1;
const count = { moved: 0, files: 0, answered: 0, lines: 0 };

await until(() => ['disk 2', 'limited 2', 'share 2'].every((word) => output.includes(word)));
ask();
await until(() => answers > 2);
for (let round = 1; round <= Number(rounds); round++) {
  await machine.pause();
  const before = { ram: Buffer.from(ram()), files: hostSide(), answers, lines: output.length };
  for (let n = 0; n < 20; n++) ask();
  void machine.input(Buffer.from(`word${round}\n`));
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  if (Buffer.compare(ram(), before.ram) !== 0) count.moved++;
  if (hostSide() !== before.files) count.files++;
  if (answers !== before.answers) count.answered++;
  if (output.length !== before.lines) count.lines++;
  const works = ['disk ', 'limited ', 'share '].map((word) => [word, times(word)] as const);
  machine.resume();
  // What came meanwhile has waited, and all work goes on.
  await until(() => works.every(([word, n]) => times(word) > n) && output.includes(`heard word${round}`) && answers >= before.answers + 20);
}
machine.stop();
const { kind } = await run;
cable?.destroy();
server.close();
process.stdout.write(JSON.stringify({ kind, ...count }));
