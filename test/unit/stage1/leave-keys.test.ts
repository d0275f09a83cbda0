/** Leaving a terminal of a pod by Ctrl-] three times; what is fewer is the app's. */
import { describe, expect, it } from 'vitest';
import { LeaveKeys } from '../../../stage1/control/leave-keys.ts';

function typedInto(): { keys: LeaveKeys; passed: () => string; left: () => number } {
  let [passed, left] = ['', 0];
  const keys = new LeaveKeys((bytes) => { passed += bytes.toString('latin1'); }, () => { left += 1; });
  return { keys, passed: () => passed, left: () => left };
}

describe('keys to leave by', () => {
  it.each(['\x1d', '\x1d\x1d', 'a\x1d', 'a\x1db\x1d\x1d'])('%j and the end of input: all of it is passed on', (text) => {
    const { keys, passed, left } = typedInto();
    for (const byte of Buffer.from(text)) keys.typed(Buffer.of(byte));
    expect(passed()).not.toBe(text);
    keys.end();
    expect([passed(), left()]).toEqual([text, 0]);
    keys.end();
    expect(passed()).toBe(text);
  });

  it('three of them leave, and are not passed on, at an end neither', () => {
    const { keys, passed, left } = typedInto();
    keys.typed(Buffer.from('ab\x1d'));
    keys.typed(Buffer.from('\x1d\x1d'));
    expect([passed(), left()]).toEqual(['ab', 1]);
    keys.end();
    expect(passed()).toBe('ab');
  });
});
