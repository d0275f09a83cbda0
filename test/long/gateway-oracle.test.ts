/** 20,000 connections by hand, to the kernel and to the gateway. VMM_CASES and VMM_SEED set how many, and which. */
process.env['VMM_CASES'] ??= '20000';
await import('../unit/gateway/oracle.test.ts');
