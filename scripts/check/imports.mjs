// Imports: which way they may go, area by area and folder by folder, and that none of them close a circle.
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { filesBelow, root } from '../lib.mjs';
import { initArrows } from './init-arrows.mjs';

/** Key: top-level area; value: what it may import beside itself. */
const MAY_IMPORT = {
  base: [],
  assembly: [],
  vmm: ['base', 'image', 'assembly/core/layout.ts', 'assembly/contract'],
  image: ['base'],
  // Of bin/ the door: what loads a program with V8's code for it.
  stage1: ['base', 'vmm/api', 'image', 'bin'],
  oci: ['vmm/api', 'image'],
  // bench/fs is the kernel of a guest to a device on its own thread.
  bench: ['scripts', 'vmm/api', 'vmm/core', 'vmm/devices', 'vmm/host', 'vmm/threads', 'image', 'assembly/core/layout.ts', 'assembly/contract'],
};
/** Within vmm/, folder by folder or file, from the ground up (ARCHITECTURE.md). */
const VMM_MAY_IMPORT = {
  // How filters are put together.
  host: ['seccomp/bpf.ts', 'seccomp/generated/bpf.ts'],
  boot: [],
  agent: [],
  seccomp: [],
  gateway: [],
  time: ['host'],
  core: ['host', 'time'],
  threads: ['core'],
  jit: ['core'],
  kvm: ['host', 'boot'],
  devices: ['host', 'core', 'time', 'threads', 'agent', 'gateway'],
  accel: ['host', 'boot', 'core', 'time', 'threads', 'jit', 'kvm'],
  machine: ['host', 'boot', 'core', 'time', 'threads', 'jit', 'kvm', 'devices', 'accel'],
  gdb: ['accel', 'machine'],
  guest: ['host', 'boot', 'agent', 'time', 'jit', 'accel', 'devices', 'machine'],
  container: ['host/read-bounded.ts', 'agent', 'seccomp', 'time', 'guest', 'machine'],
  metadata: ['agent'],
  pod: ['agent', 'container', 'guest', 'machine', 'metadata'],
  api: ['host/descriptors.ts', 'host/netns.ts', 'host/service.ts', 'agent', 'boot', 'time', 'threads', 'accel', 'core', 'devices', 'gateway', 'machine', 'guest', 'container', 'metadata', 'pod', 'gdb', 'owner', 'sandbox'],
  owner: [],
  sandbox: ['agent', 'guest', 'container', 'machine', 'devices', 'gateway', 'owner'],
  // What ends the process, the terminal, and a write that is whole.
  cli: ['api', 'host/sys.ts', 'host/tty.ts', 'host/write-whole.ts'],
};

const IMPORT = /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/;
/** An import whose line ends in `// circle: WHY` is not followed where circles are looked for. */
const CIRCLE = /\/\/ circle: \S/;

/** @typedef {{from: string, to: string, spec: string, excused: boolean}} Arrow  Paths are relative to the root. */

/** Every relative import of an area's TypeScript files, and those of packages (`to` is '' then). */
function arrowsOf(area) {
  const arrows = [];
  for (const path of filesBelow(area, (name) => name.endsWith('.ts'))) {
    const from = relative(root, path);
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const spec = IMPORT.exec(line)?.[1];
      if (spec === undefined) continue;
      const target = spec.startsWith('.') ? relative(root, resolve(dirname(path), spec)) : '';
      // asc takes module names without an ending.
      const to = target === '' || target.endsWith('.ts') ? target : `${target}.ts`;
      arrows.push({ from, to, spec, excused: CIRCLE.test(line) });
    }
  }
  return arrows;
}

/** Strongly connected parts of more than one node (Tarjan 1972), each sorted. `next`: node → set of nodes. */
export function circles(next) {
  const found = [];
  const number = new Map();
  const low = new Map();
  const stack = [];
  const visit = (node) => {
    number.set(node, number.size);
    low.set(node, number.get(node));
    stack.push(node);
    for (const to of next.get(node) ?? []) {
      if (!number.has(to)) visit(to);
      if (stack.includes(to)) low.set(node, Math.min(low.get(node), low.get(to)));
    }
    if (low.get(node) !== number.get(node)) return;
    const part = stack.splice(stack.indexOf(node));
    if (part.length > 1) found.push(part.sort());
  };
  for (const node of next.keys()) if (!number.has(node)) visit(node);
  return found;
}

/** The graph of `arrows` between the names that `nameOf` gives their files; arrows within one name are left out. */
function graph(arrows, nameOf) {
  const next = new Map();
  for (const { from, to } of arrows) {
    const [a, b] = [nameOf(from), nameOf(to)];
    if (a === b) continue;
    if (!next.has(a)) next.set(a, new Set());
    next.get(a).add(b);
  }
  return next;
}

function directions(area, arrows, report) {
  for (const { from, to, spec } of arrows) {
    if (/^(koffi|@koromix\/)/.test(spec) && !from.startsWith('vmm/host/')) report(`${from}: only vmm/host may import the FFI library`);
    if (to === '') continue;
    const [a, b] = [from, to].map((name) => /^vmm\/([^/]+)\//.exec(name)?.[1]);
    const may = (b) => VMM_MAY_IMPORT[a]?.some((name) => name === b || to === `vmm/${name}`);
    if (a !== undefined && b !== undefined && a !== b && !may(b)) report(`${from}: vmm/${a} may not import vmm/${b}`);
    const allowed = MAY_IMPORT[area].some((prefix) => to === prefix || to.startsWith(`${prefix}/`));
    if (to.split('/')[0] !== area && !allowed) report(`${from}: ${area} may not import ${to}`);
  }
}

/** Between folders none; between files only where the import's own line says why. */
export function imports(report) {
  const all = [...initArrows()];
  for (const area of Object.keys(MAY_IMPORT)) {
    const arrows = arrowsOf(area);
    directions(area, arrows, report);
    all.push(...arrows.filter(({ to }) => to !== ''));
  }
  for (const circle of circles(graph(all, (name) => join(dirname(name), '/')))) report(`a circle of folders: ${circle.join(' ')}`);
  for (const circle of circles(graph(all.filter(({ excused }) => !excused), (name) => name))) report(`a circle of files: ${circle.join(' ')}`);
}
