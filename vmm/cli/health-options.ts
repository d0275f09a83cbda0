/** `--health-*`: Docker's options of health checks, over what the image says. */
import type { HealthCheck } from '../api/owner.ts';
import { VmmError } from '../api/errors.ts';
import type { ImageProcessConfig } from '../api/images.ts';
import { goDuration } from './go-duration.ts';
import { flag, group, type OptionValues, value } from './options.ts';

/** Docker's, where neither image nor user says anything, ms. */
const INTERVAL_MS = 30_000;
const TIMEOUT_MS = 30_000;
const START_INTERVAL_MS = 5000;
const RETRIES = 3;
const MOST_MS = 2 ** 31 - 1;
const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const HEALTH_OPTIONS = group('Health (-d, create, --name)', {
  healthCmd: value('COMMAND', 'a line for the container’s shell: status 0 is healthy'),
  healthInterval: value('TIME', 'between two checks (default 30s)', duration),
  healthTimeout: value('TIME', 'how long a check may take (default 30s)', duration),
  healthStartPeriod: value('TIME', 'when it may fail after the start (default 0s)', duration),
  healthStartInterval: value('TIME', 'between two checks then (default 5s)', duration),
  healthRetries: value('N', 'failures in a row that make it unhealthy (default 3)', retries),
  noHealthcheck: flag('without the image’s health check'),
});

/** What is to be checked; undefined: nothing. Throws USAGE. */
export function healthOf(options: OptionValues<typeof HEALTH_OPTIONS>, { healthcheck }: ImageProcessConfig): HealthCheck | undefined {
  const { healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthStartInterval, healthRetries } = options;
  const asked = [healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthStartInterval, healthRetries].some((one) => one !== undefined);
  if (options.noHealthcheck && asked) throw new VmmError('USAGE', '--no-healthcheck conflicts with --health-* options', { hint: 'leave one of them away' });
  const test = healthCmd === undefined ? (healthcheck?.test ?? []) : ['CMD-SHELL', healthCmd];
  if (options.noHealthcheck || test.length < 2 || test[0] === 'NONE') return undefined;
  // Zero is what the image says, and its zero the default.
  const chosen = (given: number | undefined, image: number | undefined, standard: number): number => given || image || standard;
  return {
    test,
    intervalMs: chosen(healthInterval, healthcheck?.intervalMs, INTERVAL_MS),
    timeoutMs: chosen(healthTimeout, healthcheck?.timeoutMs, TIMEOUT_MS),
    startPeriodMs: chosen(healthStartPeriod, healthcheck?.startPeriodMs, 0),
    startIntervalMs: chosen(healthStartInterval, healthcheck?.startIntervalMs, START_INTERVAL_MS),
    retries: chosen(healthRetries, healthcheck?.retries, RETRIES),
  };
}

/** As Go writes them: 1m30s, 500ms, 0. */
function duration(text: string, option: string): number {
  const ms = text === '0' ? 0 : goDuration(text, UNITS);
  if (ms === undefined) throw new VmmError('USAGE', `${option}: ${text} is not a time`, { hint: 'for example 30s, 1m30s or 500ms' });
  if ((ms !== 0 && ms < 1) || ms > MOST_MS) throw new VmmError('USAGE', `${option}: ${text} is not from 1ms to 24 days`, { hint: 'for example 30s' });
  return Math.round(ms);
}

function retries(text: string, option: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is no number`, { hint: 'for example 3' });
  return Number(text);
}
