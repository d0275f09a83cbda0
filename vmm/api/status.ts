/** Exit statuses that say how a machine ended (docs/errors.md). */
export * from '../machine/result.ts';
