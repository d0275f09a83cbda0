import { describe, expect, it } from 'vitest';
import { JsonObject } from '../../../image/documents/json.ts';
import { processOf } from '../../../image/pack.ts';
import { readConfig } from '../../../image/sources/image-config.ts';
import { type HealthCheck, type HealthResult, healthAfter, HealthWatch, type Probe, STARTING } from '../../../vmm/owner/health.ts';

const check: HealthCheck = { test: ['CMD', 'true'], intervalMs: 1, timeoutMs: 1000, startPeriodMs: 100, startIntervalMs: 1, retries: 3 };
const result = (exitCode: number): HealthResult => ({ start: '', end: '', exitCode, output: `${exitCode}` });

describe('health, as docs.docker.com has it (HEALTHCHECK)', () => {
  it('failures of the start period do not count, until it has been healthy once', () => {
    let health = STARTING;
    for (let i = 0; i < 5; i++) health = healthAfter(health, check, result(1), 50);
    expect(health).toMatchObject({ status: 'starting', failingStreak: 0 });
    health = healthAfter(health, check, result(0), 60);
    expect(health.status).toBe('healthy');
    for (const status of ['healthy', 'healthy', 'unhealthy', 'unhealthy']) {
      health = healthAfter(health, check, result(1), 70);
      expect(health.status).toBe(status);
    }
    expect(health.failingStreak).toBe(4);
    expect(health.log.map(({ exitCode }) => exitCode)).toEqual([0, 1, 1, 1, 1]);
    expect(healthAfter(health, check, result(0), 80)).toMatchObject({ status: 'healthy', failingStreak: 0 });
  });

  it('without a start period retries failures make it unhealthy from starting', () => {
    let health = STARTING;
    for (let i = 0; i < 3; i++) health = healthAfter(health, { ...check, startPeriodMs: 0 }, result(1), 0);
    expect(health.status).toBe('unhealthy');
  });

  it('checks are made one after the other, until stop; one that cannot be made now is made later', async () => {
    let open = 0;
    const found = [undefined, { exitCode: 0, output: '' }, new Error('gone'), { exitCode: 1, output: '' }];
    const done = Promise.withResolvers<void>();
    const probe: Probe = async () => {
      expect(open++).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 2));
      open--;
      const next = found.shift();
      if (found.length === 0) done.resolve();
      if (next instanceof Error) throw next;
      return next;
    };
    const told: string[] = [];
    const watch = new HealthWatch({ ...check, retries: 1, startPeriodMs: 0 }, probe, ({ status }) => told.push(status));
    await done.promise;
    await new Promise((resolve) => setTimeout(resolve, 0));
    watch.stop();
    expect(told).toEqual(['starting', 'healthy', 'unhealthy']);
  });
});

describe('an image’s HEALTHCHECK', () => {
  const read = (Healthcheck: unknown) => readConfig(new JsonObject({ config: { Healthcheck } }, 'test'), 'test').process.healthcheck;

  it('is read with its times in ns, and written as it was', () => {
    const said = { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Timeout: 3e9, StartPeriod: 1e9, Retries: 7 };
    expect(read(said)).toEqual({ test: ['CMD-SHELL', 'true'], intervalMs: 5000, timeoutMs: 3000, startPeriodMs: 1000, retries: 7 });
    const config = readConfig(new JsonObject({ config: { Healthcheck: said } }, 'test'), 'test').process;
    expect(processOf(config)['Healthcheck']).toEqual(said);
  });

  it('without a test is none, with zeros says nothing of times, and with damaged ones is no image', () => {
    expect(read({ Test: [], Interval: 0 })).toBeUndefined();
    expect(read({ Test: ['CMD', 'x'], Interval: 0, Timeout: 9e15, Retries: 0 })).toEqual({ test: ['CMD', 'x'] });
    expect(() => read({ Test: ['CMD', 'x'], Interval: -5 })).toThrow(expect.objectContaining({ code: 'IMAGE_BAD' }));
  });
});
