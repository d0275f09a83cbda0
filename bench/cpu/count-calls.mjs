/**
 * A preload for bench/cpu/calls.ts: in each thread that runs translations, counts which functions of the core they call, and for which micro-ops.
 * What came up is told now and then, as one line of JSON behind a mark on the standard error: a thread that is ended does not hear of it.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { UOPS } from '../../vmm/jit/uop-table.ts';

/** What a thread begins with, as text: the process may open no file any more when it does. `names`: of the micro-ops. */
function install(names) {
  const { writeSync } = process.getBuiltinModule('node:fs');
  const { Instance } = WebAssembly;
  const OFTEN = 50_000;
  const counts = new Map();
  let calls = 0;
  /** Where a helper has the micro-op among its parameters: most have (cpu, u), these (cpu, block, u) or none. */
  const AT = { jit_sys: 2, jit_string: 2 };
  const WITHOUT = new Set(['rd_slow', 'wr_slow', 'code_write', 'leave_at', 'cond', 'jit_rw_slow', 'jit_w_done', 'raise_gp', 'loop_taken', 'get_cf', 'get_of', 'jump_cached']);
  const BY_B = new Set(['MULDIV', 'SHIFT_G', 'UNARY_G']);

  function keyOf(name, args, words) {
    if (name === 'cond') return `cond ${args[1]}`;
    if (WITHOUT.has(name)) return name;
    const u = args[AT[name] ?? 1];
    const uop = names[words.getUint16(u, true)];
    const imm = words.getUint32(u + 12, true);
    if (BY_B.has(uop)) return `${uop} ${words.getUint8(u + 5).toString(16)}`;
    if (uop === 'STRING') return `STRING ${words.getUint8(u + 4)} of 2^${words.getUint8(u + 5)} bytes, repeat ${imm & 3}`;
    return `${uop} ${(imm & (uop === 'SSE' ? 0x3fff : 0xfff)).toString(16)}`;
  }

  function counted(name, core, words) {
    return (...args) => {
      const key = keyOf(name, args, words);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      if (++calls % OFTEN === 0) {
        writeSync(2, `\ntranslations call the core: ${JSON.stringify([...counts])}\n`);
        counts.clear();
      }
      return core(...args);
    };
  }

  WebAssembly.Instance = class extends Instance {
    constructor(module, imports) {
      const helpers = imports?.c;
      if (helpers?.leave_at === undefined) {
        super(module, imports);
        return;
      }
      const words = new DataView(helpers.memory.buffer);
      const c = Object.fromEntries(Object.entries(helpers).map(([name, value]) => [name, typeof value === 'function' ? counted(name, value, words) : value]));
      super(module, { c });
    }
  };
}

const text = `(${install})(${JSON.stringify(UOPS.map(({ name }) => name))})`;
// Threads begin without the options of the process
const threads = createRequire(import.meta.url)('node:worker_threads');
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(file, options) {
    super(file, { ...options, execArgv: ['--import', `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`] });
  }
};
syncBuiltinESMExports();
