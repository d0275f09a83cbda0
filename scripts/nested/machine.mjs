// One boot of the nested machine: QEMU's TCG emulates an AMD CPU with SVM, a Debian kernel in it has a real kvm_amd.
// Jobs go in and their output comes back through virtio-serial ports (agent.sh has the other end).
//
// The state right after boot is kept as a snapshot (.cache/nested/state-*), so later boots take a second or two.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, tryLock } from '../lib.mjs';
import { hashOf, makeEmptyDisk, makeProjectDisk, mountProject, nestedDir, prepare, shellQuote } from './image.mjs';

const PORTS = ['ctl', 'out', 'err', 'in'];
const BOOT_LIMIT_MS = 180_000;
const PANIC_LIMIT_MS = 10_000;
const CPU_MODEL = 'EPYC,+svm,-xsaves';
// One thread for all CPUs: with a thread each, QEMU 7.2 now and then goes on with its translation of an instruction that another CPU
// replaces at that moment. Linux replaces its own by way of INT3 (KVM switches a branch in the scheduler when the first VM comes
// and when the last one goes), and a CPU then stood in the handler of an INT3 that memory no longer had, interrupts off, for ever.
const TCG = { single: 'tcg,thread=single', multi: 'tcg,thread=multi' };
const COMMAND_LINE = 'console=ttyS0 quiet mitigations=off panic=-1 nokaslr';

export class NestedError extends Error {}

export class NestedMachine {
  #qemu;
  #dir;
  #sockets = {};
  #greeted = new WeakSet();
  #waiting;
  #exited;
  #job;
  #exit = (signal) => {
    this.#qemu.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
    if (signal) process.exit(signal === 'SIGINT' ? 130 : 143);
  };

  /**
   * Resolves when the machine takes jobs. One CPU and 4096 MiB without other options.
   * @param {import('./types.ts').NestedOptions} [options]
   */
  static async boot(options = {}) {
    // One process at a time: a root disk replaced under a kept state would be another one than that state's kernel has mounted.
    mkdirSync(nestedDir, { recursive: true });
    const parts = await onlyOne(join(nestedDir, 'prepare.lock'), prepare);
    const machine = new NestedMachine();
    try {
      await machine.#start(parts, options);
    } catch (error) {
      await machine.close();
      throw error;
    }
    return machine;
  }

  async #start(parts, { cpus = 1, memoryMib = 4096, kernel, take = [], snapshot = true, threads = 'single' }) {
    this.#dir = mkdtempSync(join(tmpdir(), 'nested-'));
    const args = [
      '-M', 'q35,memory-backend=ram', '-accel', TCG[threads], '-cpu', CPU_MODEL, '-smp', `${cpus}`, '-m', `${memoryMib}`, '-nodefaults', '-display', 'none',
      '-no-reboot', '-nic', 'none', '-serial', `file:${join(this.#dir, 'console')}`,
      '-kernel', kernel ?? parts.kernel, '-initrd', parts.initrd, '-append', COMMAND_LINE,
      '-drive', `file=${parts.rootDisk},format=raw,if=none,id=root,snapshot=on`, '-device', 'virtio-blk-pci,drive=root',
      '-device', 'virtio-serial-pci,max_ports=8',
    ];
    PORTS.forEach((name, i) => {
      args.push('-chardev', `socket,id=${name},path=${join(this.#dir, name)}`, '-device', `virtserialport,chardev=${name},name=${name},nr=${i + 1}`);
    });
    const state = join(nestedDir, `state-${hashOf([...args.filter((arg) => !arg.includes(this.#dir)), fileKey(parts.rootDisk), fileKey(parts.initrd), fileKey(kernel ?? parts.kernel), fileKey('/usr/bin/qemu-system-x86_64')]).slice(0, 16)}`);
    const tops = makeProjectDisk(join(this.#dir, 'project'), take);
    if (snapshot && !existsSync(state)) await onlyOne(`${state}.lock`, async () => {
      if (!existsSync(state)) await this.#keepState(args, memoryMib, state);
    });
    // Snapshot: RAM is a private mapping of the kept file, so only pages that are touched cost anything.
    const ram = snapshot ? `memory-backend-file,mem-path=${state}.ram,share=off` : 'memory-backend-ram';
    this.#launch([...args, '-object', `${ram},id=ram,size=${memoryMib}M`, ...(snapshot ? ['-incoming', 'defer'] : [])], 'project');
    await this.#connected;
    if (snapshot) {
      await this.#qmpSession(async (qmp) => {
        await qmp.command('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
        await qmp.command('migrate-incoming', { uri: `exec:cat ${shellQuote(state)}` });
        await qmp.until('query-status', ({ status }) => status === 'paused');
        await qmp.command('cont');
      });
    }
    else await this.#expect((line) => line === 'ready', BOOT_LIMIT_MS);
    const done = await this.run([
      `date -s @${Math.floor(Date.now() / 1000)} >/dev/null`, 'sysctl -q -w kernel.unknown_nmi_panic=1 kernel.panic_print=64 kernel.panic=0', 'blockdev --flushbufs /dev/vdb',
      mountProject('/dev/vdb', tops),
    ].join(' && '), { cwd: '/', timeoutMs: BOOT_LIMIT_MS });
    if (done.status !== 0) throw new NestedError(`nested machine: cannot mount the project: ${done.stderr}`);
  }

  /** Boots once with an empty project disk and writes the machine's state after "ready" to `state`, its RAM beside it. */
  async #keepState(args, memoryMib, state) {
    process.stderr.write('nested machine: first boot with these options, keeping its state\n');
    const temp = `${state}.${process.pid}`;
    makeEmptyDisk(join(this.#dir, 'empty'));
    this.#launch([...args, '-object', `memory-backend-file,mem-path=${temp}.ram,share=on,id=ram,size=${memoryMib}M`], 'empty');
    await this.#connected;
    await this.#expect((line) => line === 'ready', BOOT_LIMIT_MS);
    await this.#qmpSession(async (qmp) => {
      await qmp.command('stop');
      await qmp.command('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
      await qmp.command('migrate', { uri: `exec:cat > ${shellQuote(temp)}` });
      await qmp.until('query-migrate', ({ status, 'error-desc': why }) => {
        if (status === 'failed') throw new NestedError(`nested machine: cannot keep its state: ${why ?? 'no reason given'}`);
        return status === 'completed';
      });
    });
    await this.#stop();
    // What an older root disk or kernel left behind.
    const oldest = statSync(join(nestedDir, 'root.ext4')).mtimeMs;
    for (const name of readdirSync(nestedDir)) {
      const path = join(nestedDir, name);
      if (/^state-[0-9a-f]+(\.[0-9]+)?(\.ram)?$/.test(name) && statSync(path).mtimeMs < oldest) rmSync(path);
    }
    renameSync(`${temp}.ram`, `${state}.ram`);
    renameSync(temp, state);
  }

  #connected;

  #launch(args, disk) {
    const servers = [];
    this.#connected = Promise.all([...PORTS, 'qmp'].map((name) => new Promise((resolve) => {
      rmSync(join(this.#dir, name), { force: true });
      const server = createServer((socket) => {
        server.close();
        socket.on('error', () => {});
        this.#sockets[name] = socket;
        resolve();
      });
      server.listen(join(this.#dir, name));
      servers.push(server);
    }))).then(() => this.#attach());
    // QEMU ends with this process even when that is killed and can do nothing about it.
    const [command, ...before] = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64'] : ['qemu-system-x86_64'];
    const qemu = spawn(command, [
      ...before, ...args, '-drive', `file=${join(this.#dir, disk)},format=raw,if=none,id=project,cache=unsafe`, '-device', 'virtio-blk-pci,drive=project',
      '-chardev', `socket,id=qmp,path=${join(this.#dir, 'qmp')}`, '-mon', 'chardev=qmp,mode=control',
    ], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#qemu = qemu;
    let stderr = '';
    qemu.stderr.on('data', (data) => { stderr = (stderr + data).slice(-4000); });
    process.on('exit', this.#exit);
    process.on('SIGINT', this.#exit);
    process.on('SIGTERM', this.#exit);
    this.#exited = new Promise((resolve) => {
      qemu.on('error', (error) => resolve(error.message));
      qemu.on('exit', (code, signal) => resolve(`QEMU ended (${signal ?? code})${stderr ? `: ${stderr.trim()}` : ''}`));
    }).then((why) => {
      for (const server of servers) server.close();
      const error = new NestedError(`nested machine: ${why}${this.consoleTail()}`);
      this.#waiting?.reject(error);
      this.#job?.reject(error);
      return error;
    });
    this.#connected = Promise.race([this.#connected, this.#exited.then((error) => { throw error; })]);
    this.#connected.catch(() => {});
  }

  #attach() {
    let text = '';
    this.#sockets.ctl.on('data', (data) => {
      text += data;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.#line(text.slice(0, end).trim());
        text = text.slice(end + 1);
      }
    });
    for (const name of ['out', 'err']) this.#sockets[name].on('data', (data) => this.#job?.data(name, data));
  }

  #line(line) {
    if (this.#waiting?.wants(line)) this.#waiting.resolve(line);
    else if (this.#job) this.#job.line(line);
  }

  #expect(wants, limitMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new NestedError(`nested machine: not ready after ${limitMs / 1000} s${this.consoleTail()}`)), limitMs);
      const settle = (act) => (value) => { clearTimeout(timer); this.#waiting = undefined; act(value); };
      this.#waiting = { wants, resolve: settle(resolve), reject: settle(reject) };
    });
  }

  /** QEMU's control protocol: greeting, commands with an answer each, events in between. */
  async #qmpSession(act) {
    const socket = this.#sockets.qmp;
    let text = '';
    const seen = [];
    let wake = () => {};
    const onData = (data) => {
      text += data;
      const lines = text.split('\n');
      text = lines.pop();
      for (const line of lines) if (line.trim()) seen.push(JSON.parse(line));
      wake();
    };
    socket.on('data', onData);
    const take = async (wants) => {
      for (;;) {
        const i = seen.findIndex(wants);
        if (i >= 0) return seen.splice(i, 1)[0];
        const more = Promise.withResolvers();
        wake = more.resolve;
        const gone = await Promise.race([more.promise, this.#exited]);
        if (gone instanceof Error) throw gone;
      }
    };
    const command = async (execute, args) => {
      socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
      const answer = await take((message) => 'return' in message || 'error' in message);
      if (answer.error) throw new NestedError(`nested machine: QEMU's ${execute}: ${answer.error.desc}`);
      return answer.return;
    };
    const until = async (name, wants) => {
      while (!wants(await command(name))) await new Promise((done) => setTimeout(done, 20));
    };
    if (!this.#greeted.has(socket)) {
      await take((message) => 'QMP' in message);
      await command('qmp_capabilities');
      this.#greeted.add(socket);
    }
    await act({ command, until });
    socket.off('data', onData);
  }

  /**
   * Runs a shell script inside. Resolves to {status, stdout, stderr}; output is handed on live to `onStdout` and
   * `onStderr` instead when these are given. Rejects after `timeoutMs` (the machine is then lost) or when QEMU ends.
   * Ends when every process that holds the script's output has closed it. One at a time. `stdin`: the script reads what
   * is written to `this.stdin`, to its end; else it has no input.
   * @param {string} script
   * @param {import('./types.ts').JobOptions} [options]
   * @returns {Promise<import('./types.ts').JobResult>}
   */
  run(script, { cwd = root, env = {}, timeoutMs = 300_000, onStdout, onStderr, stdin = false } = {}) {
    if (this.#job) throw new NestedError('nested machine: one job at a time');
    const word = randomBytes(12).toString('hex');
    const exports = Object.entries({ VMM_ROOT: root, ...env }).map(([name, value]) => `export ${name}=${shellQuote(value)}\n`).join('');
    const text = `${exports}cd ${shellQuote(cwd)} || exit 125\n${script}\n`;
    return new Promise((resolve, reject) => {
      const streams = { out: new Tokenised(word, onStdout), err: new Tokenised(word, onStderr) };
      let status;
      const timer = setTimeout(async () => {
        settle();
        const where = await this.#whereItStands();
        reject(Object.assign(new NestedError(`nested machine: the job runs longer than ${timeoutMs / 1000} s${where}`), { code: 'TIMEOUT', stdout: streams.out.bytes(), stderr: streams.err.bytes() }));
        this.#qemu.kill('SIGKILL');
      }, timeoutMs);
      const settle = () => { clearTimeout(timer); this.#job = undefined; };
      const finish = () => {
        if (status === undefined || !streams.out.ended || !streams.err.ended) return;
        settle();
        const stdout = streams.out.bytes();
        const stderr = streams.err.bytes();
        resolve({ status, stdout: stdout.toString(), stderr: stderr.toString(), stdoutBytes: stdout, stderrBytes: stderr });
      };
      this.#job = {
        data: (name, data) => { streams[name].push(data); finish(); },
        line: (line) => { if (line.startsWith(`${word} `)) { status = Number(line.slice(word.length + 1)); finish(); } },
        reject: (error) => { settle(); reject(error); },
      };
      this.#sockets.ctl.write(`${word} ${stdin ? 'port' : 'none'} ${Buffer.from(text).toString('base64')}\n`);
    });
  }

  /** The standard input of the job that was run with `stdin`; ending it ends the job's input, for one job in a machine. @returns {import('node:stream').Writable} */
  get stdin() {
    return this.#sockets.in;
  }

  /** Where its kernel hangs, or that it does not: an NMI makes it panic, which prints registers and call traces of all CPUs. */
  async #whereItStands() {
    const end = Date.now() + PANIC_LIMIT_MS;
    const asked = this.#qmpSession(({ command }) => command('inject-nmi')).catch(() => {});
    await Promise.race([asked, new Promise((done) => setTimeout(done, PANIC_LIMIT_MS).unref())]);
    while (Date.now() < end && !this.consoleTail(200).includes('end Kernel panic')) await new Promise((done) => setTimeout(done, 50));
    return this.consoleTail(200);
  }

  consoleTail(lines = 30) {
    const path = join(this.#dir ?? '', 'console');
    if (!this.#dir || !existsSync(path)) return '';
    const text = readFileSync(path, 'latin1').trim().split('\n').slice(-lines).join('\n');
    return text ? `\n--- its console ends with ---\n${text}` : '';
  }

  async #stop() {
    this.#qemu?.kill('SIGKILL');
    await this.#exited;
    for (const socket of Object.values(this.#sockets)) socket.destroy();
    this.#sockets = {};
    process.off('exit', this.#exit);
    process.off('SIGINT', this.#exit);
    process.off('SIGTERM', this.#exit);
  }

  /** Ends this machine's QEMU; nothing inside is kept. */
  async close() {
    await this.#stop();
    if (this.#dir) rmSync(this.#dir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }
}

/** One output stream of a job: everything before its end token, which may arrive in pieces. */
class Tokenised {
  ended = false;
  #token;
  #sink;
  #kept = [];
  #tail = Buffer.alloc(0);

  constructor(token, sink) {
    this.#token = Buffer.from(token);
    this.#sink = sink ?? ((data) => this.#kept.push(data));
  }

  push(data) {
    if (this.ended) return;
    const all = Buffer.concat([this.#tail, data]);
    const at = all.indexOf(this.#token);
    // Without the token yet, all but a possible start of it can go on.
    const safe = at >= 0 ? at : Math.max(0, all.length - this.#token.length + 1);
    this.ended = at >= 0;
    if (safe > 0) this.#sink(Buffer.from(all.subarray(0, safe)));
    this.#tail = all.subarray(safe);
  }

  bytes() {
    return Buffer.concat(this.#kept);
  }
}

/** Runs `act` while no other process does so under the same lock. */
async function onlyOne(lock, act) {
  while (!tryLock(lock)) await new Promise((done) => setTimeout(done, 200));
  try {
    return await act();
  } finally {
    rmSync(lock, { force: true });
  }
}

function fileKey(path) {
  const { size, mtimeMs } = statSync(path);
  return `${path} ${size} ${mtimeMs}`;
}
