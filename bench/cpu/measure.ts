/**
 * Time of the software CPU over that of QEMU's TCG: the same guest, the same programs, in turns.
 * `node bench/cpu/measure.ts [--runs 5] [--jit on|off] [--limits] [--save]`
 * The time of a program is the CPU time of the emulator's process between the guest's two lines on its serial port, so that other work on the
 * machine weighs little. QEMU has the CPU that vmm offers: qemu64 without SSE3 and CMPXCHG16B. Needs gcc and qemu-system-x86.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, middle, type Row, ROOT, ratio, report, type Target } from '../harness.ts';
import { geometricMean, median } from '../statistics.ts';
import { APART, bootOptions, buildPrograms, checkSame, runPrograms } from './programs.ts';

const LIMITS: Readonly<Record<string, Target>> = { [APART]: { atMost: 0.2 } };
/** With the translator; without it (`--jit off`) they are missed by far. */
const EACH: Target = { atMost: 1.7 };
const MEAN: Target = { atMost: 0.95 };

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, limits: { type: 'boolean' }, save: { type: 'boolean' }, jit: { type: 'string' } } });

const elf = buildPrograms();
const qemu = ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'pc', '-cpu', 'qemu64,-pni,-cx16', '-m', '64', '-nodefaults', '-display', 'none',
  '-serial', 'stdio', '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4', '-kernel', elf];
const vmm = [process.execPath, '--', join(ROOT, 'bin', 'vmm.js'), ...bootOptions(elf), ...(values.jit === undefined ? [] : ['--jit', values.jit])];
const times = await inTurns({ qemu: () => runPrograms(qemu), vmm: () => runPrograms(vmm) }, { rounds: Number(values.runs), warmUp: 0 });
for (const programs of [...times.qemu, ...times.vmm]) checkSame(programs, times.qemu[0]!);

const rows: Row[] = times.qemu[0]!.map(({ name }, i) => {
  const [ours, theirs] = [times.vmm, times.qemu].map((rounds) => rounds.map((programs) => programs[i]!.ms));
  return { what: name, ...ratio(ours!, theirs!), target: LIMITS[name] ?? EACH, note: `${median(ours!).toFixed(0)} ms, QEMU ${median(theirs!).toFixed(0)} ms` };
});
const means = times.vmm.map((programs, round) => geometricMean(programs.flatMap(({ name, ms }, i) => (name === APART ? [] : [ms / times.qemu[round]![i]!.ms]))));
report('cpu-programs', {
  title: "Programs on the software CPU: time over QEMU TCG's",
  section: 'Software CPU',
  rows: [{ what: `geometric mean without ${APART}`, ...middle(means, 'ratio'), target: MEAN }, ...rows],
});
