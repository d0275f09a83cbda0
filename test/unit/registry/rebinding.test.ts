/** Names that lead elsewhere from one look-up to the next: what is connected to is what was checked. A real resolver, in namespaces of its own. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { scratch } from '../image/support.ts';

type Outcome = { said: string; reached: string[] };
const PROGRAM = join(import.meta.dirname, '../../support/images/rebinding.ts');

describe.skipIf(process.getuid?.() !== 0)('names whose addresses change', () => {
  let results: Record<string, Outcome>;
  beforeAll(() => {
    results = JSON.parse(execFileSync('unshare', ['-m', '-n', process.execPath, PROGRAM, scratch()], { encoding: 'utf8', timeout: 90_000, env: { PATH: process.env['PATH'] ?? '' } })) as Record<string, Outcome>;
  }, 120_000);

  const one = (what: string): Outcome => results[what] as Outcome;
  it.each(['a redirect to a public name', 'a name that turns private once it has been looked up'])('%s is followed', (what) => {
    expect(one(what)).toEqual({ said: 'done', reached: ['203.0.113.5 evil.example /redirect', '203.0.113.5 inner.example /secret'] });
  });
  it.each(['a name that is private by the time it is connected to', 'a sender whose name turns private after it has answered'])('%s', (what) => {
    expect(one(what).said).toMatch(/^ACI_ANSWER evil\.example sends us to inner\.example, a private address/);
    expect(one(what).reached).toEqual(['203.0.113.5 evil.example /redirect']);
  });
  it('a host whose own name turns private', () => {
    expect(one('a host whose own name turns private').said).toMatch(/^ACI_ANSWER .*a private address/);
    expect(one('a host whose own name turns private').reached).toEqual(['203.0.113.5 evil.example /one']);
  });
  it('a host of this network may send us there', () => {
    expect(one('a host of this network may send us there').said).toBe('done');
  });
  it('registries alike', () => {
    expect(one('a registry that sends us to a private name')).toMatchObject({ said: expect.stringMatching(/^REGISTRY_ANSWER /), reached: ['203.0.113.5 evil.example /v2/'] });
    expect(one('a registry whose own name turns private')).toMatchObject({ said: expect.stringMatching(/^REGISTRY_ANSWER /), reached: ['203.0.113.5 evil.example /v2/', '203.0.113.5 inner.example /blob'] });
  });
});
