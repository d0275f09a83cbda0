// `npm run nested -- [OPTIONS] CMD…`: runs CMD where /dev/kvm is real, although this machine has none: in a Debian
// kernel under QEMU's TCG with SVM. Output, streams apart, and exit status come back as they are.
import { mkdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fail, root } from './lib.mjs';
import { setup } from './setup.mjs';

const USAGE = `usage: npm run nested -- [OPTIONS] CMD…
  --cpus N        CPUs of the nested machine (1; all of them run in turns)
  --memory MIB    its memory (4096)
  --timeout S     end with status 124 after S seconds (300)
  --kernel FILE   another kernel for it (a bzImage that takes the modules of Debian's cloud kernel)
  --take PATH     a host file or directory to bring along at the same path; words of CMD that name one are taken anyway
  --share DIR     bring DIR's content along as /share, and take /share back into DIR afterwards
  --stdin         pass standard input on
  --sh            CMD is one word, a shell script
  --no-setup      take what is built, do not build first
  --no-snapshot   a full boot instead of the state kept after the first
Inside: the checkout at its own path (built files, not the sources), node, npx vmm, QEMU, strace, /sys/kernel/tracing.`;

function parse(argv) {
  const options = { take: [], timeout: 300, cpus: 1, memoryMib: 4096 };
  const number = (name, text) => (/^[1-9][0-9]*$/.test(text ?? '') ? Number(text) : fail(`nested: ${name} wants a positive number, not ${text ?? 'nothing'}`, 125));
  let i = 0;
  for (; i < argv.length && argv[i].startsWith('-'); i++) {
    const name = argv[i];
    if (name === '--') { i++; break; }
    else if (name === '--cpus') options.cpus = number(name, argv[++i]);
    else if (name === '--memory') options.memoryMib = number(name, argv[++i]);
    else if (name === '--timeout') options.timeout = number(name, argv[++i]);
    else if (name === '--kernel') options.kernel = resolve(argv[++i]);
    else if (name === '--take') options.take.push(resolve(argv[++i]));
    else if (name === '--share') options.share = resolve(argv[++i]);
    else if (name === '--stdin') options.stdin = true;
    else if (name === '--sh') options.sh = true;
    else if (name === '--no-setup') options.setup = false;
    else if (name === '--no-snapshot') options.snapshot = false;
    else if (name === '--help') { process.stdout.write(`${USAGE}\n`); process.exit(0); }
    else fail(`nested: unknown option ${name}\n${USAGE}`, 125);
  }
  options.words = argv.slice(i);
  if (options.words.length === 0) fail(USAGE, 125);
  return options;
}

const options = parse(process.argv.slice(2));
if (options.setup !== false) await setup();
const { NestedMachine } = await import('./nested/machine.mjs');
const { pathsAmong, shellQuote } = await import('./nested/image.mjs');
const take = [...options.take, ...pathsAmong(options.words, root)];
if (options.share) {
  mkdirSync(options.share, { recursive: true });
  take.push({ host: options.share, guest: '/share' });
}
let status = 125;
let machine;
try {
  machine = await NestedMachine.boot({ cpus: options.cpus, memoryMib: options.memoryMib, kernel: options.kernel, snapshot: options.snapshot, take });
  if (options.stdin) process.stdin.pipe(machine.stdin);
  const script = options.sh ? options.words.join(' ') : options.words.map(shellQuote).join(' ');
  const write = (stream) => (data) => stream.write(data);
  ({ status } = await machine.run(script, { timeoutMs: options.timeout * 1000, stdin: Boolean(options.stdin), onStdout: write(process.stdout), onStderr: write(process.stderr) }));
  if (options.share) {
    const { stdoutBytes } = await machine.run('tar -C /share -cf - .', { timeoutMs: 300_000 });
    const result = spawnSync('tar', ['-C', options.share, '-xf', '-'], { input: stdoutBytes, stdio: ['pipe', 2, 2] });
    if (result.status !== 0) fail('nested: cannot take /share back', 125);
  }
} catch (error) {
  if (error?.code === 'TIMEOUT') status = 124;
  // What follows a time-out's first line is where the nested kernel stood, for tests.
  process.stderr.write(`${status === 124 ? error.message.split('\n')[0] : error.message}\n`);
}
await machine?.close();
process.exitCode = status;
process.stdin.unref?.();
