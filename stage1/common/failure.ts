/** rkt's stage0 and the stage1s that come with it end with this when they fail. */
export const STATUS_FAILED = 254;

/** What an entry point cannot do: one line for the user. */
export class Failure extends Error {}

/** Text of a pod or a guest in one line of ours. */
export function oneLine(text: string): string {
  return text.replace(/[\0-\x1f\x7f]/g, ' ').slice(0, 2000);
}
