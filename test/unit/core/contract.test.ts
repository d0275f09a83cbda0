/** Numbers of the contract that must differ from each other. */
import { expect, it } from 'vitest';
import * as MACHINE from '../../../assembly/contract/machine.ts';
import * as P from '../../../vmm/agent/generated/protocol.ts';

const twice = (names: Readonly<Record<string, unknown>>, prefix: RegExp): string[] => {
  const seen = new Map<unknown, string>();
  return Object.entries(names).flatMap(([name, value]) => {
    if (!prefix.test(name)) return [];
    const other = seen.get(value);
    seen.set(value, name);
    return other === undefined ? [] : [`${other} and ${name} are ${String(value)}`];
  });
};

it('no two events of the core and the host, messages, fields or error codes of the protocol have the same number', () => {
  expect(twice(MACHINE, /^(MACHINE|HOST)_EV_/)).toEqual([]);
  expect(twice(P, /^MSG_/)).toEqual([]);
  expect(twice(P, /^TAG_(?!OPTIONAL)/)).toEqual([]);
  expect(twice(P, /^ERR_/)).toEqual([]);
  expect(Object.keys(MACHINE).filter((name) => /_EV_/.test(name)).length).toBeGreaterThan(10);
});
