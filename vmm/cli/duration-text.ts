const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago a time of ISO 8601 was, in Docker's words (go-units, HumanDuration). */
export function sinceText(then: string | undefined, now: number): string {
  const ms = Math.max(0, now - Date.parse(then ?? ''));
  const of = (unit: number): number => Math.floor(ms / unit);
  if (!(ms >= SECOND)) return 'Less than a second';
  if (ms < 2 * SECOND) return '1 second';
  if (ms < MINUTE) return `${of(SECOND)} seconds`;
  if (ms < 2 * MINUTE) return 'About a minute';
  if (ms < HOUR) return `${of(MINUTE)} minutes`;
  if (Math.floor(ms / HOUR + 0.5) === 1) return 'About an hour';
  if (ms < 48 * HOUR) return `${Math.floor(ms / HOUR + 0.5)} hours`;
  if (ms < 14 * DAY) return `${of(DAY)} days`;
  if (ms < 60 * DAY) return `${of(7 * DAY)} weeks`;
  return ms < 730 * DAY ? `${of(30 * DAY)} months` : `${of(365 * DAY)} years`;
}
