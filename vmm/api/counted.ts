/** Runs in virtual time that repeat (docs/deterministic-runs.md). */
export { COUNT_SHIFT_MAX, type CountedConfig, type CountedRun, RTC_MAX } from '../time/counted.ts';
export { type InputKind, InputRecorder, InputReplay, type RunIdentity, sizeData } from '../time/input-log.ts';
export type { Counts } from '../time/position.ts';
export { SeededStream } from '../time/seeded.ts';
