/** A million frames of a guest's that may be anything. VMM_CASES and VMM_SEED set how many, and which. */
process.env['VMM_CASES'] ??= '1000000';
await import('../unit/gateway/fuzz.test.ts');
