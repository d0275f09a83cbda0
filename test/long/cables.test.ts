/** Streams of any bytes through the cables of network cards: half a million cases, half of them good frames cut anywhere. VMM_CASES sets how many of each. */
process.env['VMM_CASES'] ??= '250000';
await import('../unit/devices/net.test.ts');
