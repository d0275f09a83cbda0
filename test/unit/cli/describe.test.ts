import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forTerminal, jsonText } from '../../../vmm/cli/describe.ts';

/** What moves a terminal's cursor, or turns its text round. */
const UNSAFE = /(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/u;

describe('texts of an image on a terminal', () => {
  it('as JSON mean the same, and hold nothing that a terminal obeys', () => {
    const odd = fc.array(fc.constantFrom('\u001b[31m', '\u009b2J', '\u202e', '\u{e0041}', '"', '\\', 'é', '😀', '\n', '\t', '\0', '\u2028')).map((parts) => parts.join(''));
    fc.assert(fc.property(fc.dictionary(odd, fc.oneof(odd, fc.string(), fc.integer(), fc.constant(null))), (value) => {
      const text = jsonText([value]);
      expect(text).not.toMatch(UNSAFE);
      expect(JSON.parse(text)).toEqual([value]);
    }), { numRuns: 500 });
    expect(jsonText({ a: [1] })).toBe('{\n    "a": [\n        1\n    ]\n}\n');
  });

  it('by a template are shown there, and stay as they are in a pipe', () => {
    const text = 'a\u001b[2J\tb\u202ec\n\u009bd\n';
    expect(forTerminal(text, true)).toBe('a\\u{1b}[2J\tb\\u{202e}c\n\\u{9b}d\n');
    expect(forTerminal(text, false)).toBe(text);
  });
});
