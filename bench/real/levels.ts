/**
 * Programs that choose their code by CPUID, on the software CPU as x86-64-v2 (its default model) and as baseline: CPU time of the first over the second's.
 * `node bench/real/levels.ts [--runs 9] [--limits] [--save]`
 * The root is this machine's own programs with what they are linked with; it needs gcc, openssl, grep, gzip, perl, sort and xz.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, middle, type Row, ROOT, ratio, report } from '../harness.ts';
import { geometricMean, median } from '../statistics.ts';
import { type Sample, sample } from './sample.ts';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '9' }, limits: { type: 'boolean' }, save: { type: 'boolean' } } });
const LINKED = ['openssl', 'grep', 'sort', 'gzip', 'xz', 'perl'];

/** Each with the same input and output on both. */
const PROGRAMS = [
  { name: 'glibc’s string functions, static', script: '/bin/strings' },
  { name: 'openssl: SHA-256, SHA-1, MD5', script: 'for d in sha256 sha1 md5; do openssl dgst -$d /text; done' },
  { name: 'openssl: AES-128-CBC', script: 'openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 00112233445566778899aabbccddeeff -in /text | openssl dgst -sha256' },
  { name: 'grep', script: 'grep -c "qu[aeiou].*zz" /text; grep -cw the /text; grep -ci xyzzy /text' },
  { name: 'sort', script: 'sort /text | tail -n 3; sort -n /numbers | head -n 3' },
  { name: 'gzip', script: 'gzip -6 -c -n /text | openssl dgst -sha256' },
  { name: 'xz', script: 'head -c 200000 /text | xz -1 -T1 -c | openssl dgst -sha256' },
  { name: 'perl', script: `perl -e 'open F, "/text"; my %n; while (<F>) { $n{$_}++ for /(\\w+)/g } print join(",", (sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n)[0..4]), "\\n"'` },
];

const dir = mkdtempSync(join(tmpdir(), 'vmm-levels-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

/** A directory that is a root. */
function makeRoot(): string {
  const root = join(dir, 'root');
  for (const name of ['bin', 'tmp', 'proc', 'dev', 'sys']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin', 'busybox'));
  for (const name of ['sh', 'head', 'tail', 'date']) symlinkSync('busybox', join(root, 'bin', name));
  const libraries = new Set<string>();
  for (const name of LINKED) {
    const program = realpathSync(`/usr/bin/${name}`);
    cpSync(program, join(root, 'bin', name));
    for (const [, path] of execFileSync('ldd', [program], { encoding: 'utf8', timeout: 60_000 }).matchAll(/(\/\S+) \(0x/g)) libraries.add(path!);
  }
  for (const path of libraries) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    cpSync(realpathSync(path), join(root, path));
  }
  execFileSync('gcc', ['-O2', '-static', '-o', join(root, 'bin', 'strings'), join(ROOT, 'bench/real/strings.c')], { timeout: 60_000 });
  let seed = 1;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  const word = (): string => (random(12) === 0 ? 'the' : Array.from({ length: 1 + random(9) }, () => 'etaoinshrdlucmfwypvbgkqjxz'[Math.min(random(26), random(26))]).join(''));
  writeFileSync(join(root, 'text'), Array.from({ length: 12_000 }, () => `${Array.from({ length: 4 + random(9) }, word).join(' ')}\n`).join(''));
  writeFileSync(join(root, 'numbers'), Array.from({ length: 12_000 }, () => `${random(1 << 24)}\n`).join(''));
  return root;
}

const root = makeRoot();
const run = (name: string, script: string, model: string): Promise<Sample> => {
  const guest = `echo '> ${name}'; t=$(date +%s); sum=$( (${script}) 2>&1 | openssl dgst -sha256 -r); echo "= \${sum%% *} $(( $(date +%s) - t ))"`;
  return sample([process.execPath, '--', join(ROOT, 'bin', 'vmm.js'), 'run', '-q', '--accel', 'wasm', '--cpu', model, '-m', '256m', root, 'sh', '-c', guest], { VMM_STORE: join(dir, 'store') }, name);
};

const rows: Row[] = [];
const ratios: number[][] = [];
for (const { name, script } of PROGRAMS) {
  const taken = await inTurns({ v2: () => run(name, script, 'x86-64-v2'), baseline: () => run(name, script, 'baseline') }, { rounds: Number(values.runs), warmUp: 0 });
  const sums = new Set(Object.values(taken).flatMap((list) => list.map(({ sum }) => sum)));
  if (sums.size !== 1) throw new Error(`${name}: results differ: ${JSON.stringify(taken)}`);
  const [v2, baseline] = [taken.v2, taken.baseline].map((list) => list.map(({ ms }) => ms)) as [number[], number[]];
  ratios.push(v2.map((ms, i) => ms / baseline[i]!));
  rows.push({ what: name, ...ratio(v2, baseline), note: `${median(v2).toFixed(0)} ms, baseline ${median(baseline).toFixed(0)} ms` });
  process.stderr.write(`${name}: ${ratios.at(-1)!.map((each) => each.toFixed(2)).join(' ')}\n`);
}
const means = Array.from({ length: Number(values.runs) }, (_, i) => geometricMean(ratios.map((list) => list[i]!)));
report('cpu-levels', {
  title: 'The software CPU as x86-64-v2: CPU time over baseline’s, programs that choose by CPUID',
  section: 'Software CPU',
  rows: [{ what: 'geometric mean', ...middle(means, 'ratio'), target: { atMost: 1.05, of: 'high' } }, ...rows],
});
