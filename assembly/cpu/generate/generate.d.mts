/** Types of generate.mjs for the tests. */
export interface OpmapRow {
  readonly map: string;
  readonly prefix: string;
  readonly lo: number;
  readonly hi: number;
  readonly digit: number;
  readonly mnemonic: string;
  readonly operands: readonly string[];
  readonly attributes: readonly string[];
}
export function readOpmap(): OpmapRow[];
export function generateAll(): Record<string, string>;
