import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildCore } from '../../../scripts/build-core.mjs';
import { root } from '../../../scripts/lib.mjs';

buildCore();
const path = (name: string): string => join(root, 'dist', `${name}.wasm`);
const module = (name: string): WebAssembly.Module => new WebAssembly.Module(readFileSync(path(name)));
/** Not in the types of @types/node. */
const { exports, imports } = WebAssembly.Module as unknown as Record<'exports' | 'imports', (of: WebAssembly.Module) => { module: string; name: string; kind: string }[]>;
const full = module('core');
const kvm = module('core-kvm');
const functions = (of: WebAssembly.Module): string[] => exports(of).filter(({ kind }) => kind === 'function').map(({ name }) => name);

/** The functions that the host declares (vmm/core/exports.ts), by the folder they come from. */
const declared = readFileSync(join(root, 'vmm', 'core', 'exports.ts'), 'utf8').split('// assembly/').slice(1).map((part) => ({
  folder: part.slice(0, part.search(/\s/)),
  names: [...part.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name as string),
}));

test('the core exports whatever the host declares', () => {
  expect(declared.map(({ folder }) => folder)).toEqual(expect.arrayContaining(['core', 'virtio', 'cpu']));
  const exported = new Set(functions(full));
  expect(declared.flatMap(({ names }) => names).filter((name) => !exported.has(name))).toEqual([]);
});

test('the core for KVM exports all of machine and devices, and nothing of the CPU', () => {
  const exported = new Set(functions(kvm));
  for (const { folder, names } of declared) {
    if (folder === 'cpu') expect(names.filter((name) => exported.has(name))).toEqual([]);
    else expect(names.filter((name) => !exported.has(name))).toEqual([]);
  }
  expect(functions(kvm).filter((name) => !functions(full).includes(name))).toEqual([]);
});

test('both have the same imports but for those that only the CPU needs', () => {
  const names = (of: WebAssembly.Module): string[] => imports(of).map((entry) => `${entry.module}.${entry.name}`);
  expect(names(kvm).filter((name) => !names(full).includes(name))).toEqual([]);
});

test('the core for KVM is small', () => {
  expect(statSync(path('core-kvm')).size).toBeLessThan(64 * 1024);
});
