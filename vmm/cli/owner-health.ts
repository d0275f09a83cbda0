/** A health check's command in the container of this process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { execSpec } from '../api/containers.ts';
import type { HealthCheck, Probe } from '../api/owner.ts';
import type { OwnedContainer } from './owned.ts';

const MAX_OUTPUT = 4096;
const SIGKILL = 9;
/** How long what was killed may take to go, ms. */
const GONE_MS = 5000;

/** `busy`: it can have no command now, being frozen. */
export function probeOf({ test: [kind, ...words], timeoutMs }: HealthCheck, run: () => Pick<OwnedContainer, 'container' | 'spec'>, busy: () => boolean): Probe {
  const args = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', ...words] : words;
  return async () => {
    if (busy()) return undefined;
    const { container, spec } = run();
    const command = container.exec(execSpec(spec, { args, env: [], privileged: false, stdin: false, tty: false, detach: false }));
    let output = '';
    const take = (bytes: Uint8Array): void => {
      if (output.length < MAX_OUTPUT) output = (output + Buffer.from(bytes).toString()).slice(0, MAX_OUTPUT);
    };
    command.onStdout(take);
    command.onStderr(take);
    const ended = command.started.then(() => command.wait()).then(({ status }) => status, (error: Error) => {
      output = error.message;
      return 126;
    });
    const timer = new AbortController();
    const exitCode = await Promise.race([ended, sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    if (exitCode !== undefined) return { exitCode, output };
    void command.signal(SIGKILL).catch(() => {});
    await Promise.race([ended, sleep(GONE_MS)]);
    return { exitCode: -1, output: `Health check exceeded timeout (${timeoutMs / 1000}s)` };
  };
}
