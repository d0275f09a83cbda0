/** A pod's own isolators bound those of its apps (App Container specification 0.8.11, "Isolators"). */
import type { App } from '../../image/appc/schema/app.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import type { Isolator } from '../../image/appc/schema/isolators.ts';

export interface PodBounds {
  /** Bytes that all apps have together: the machine has no more for them. */
  readonly memory?: number | undefined;
  /** Thousandths of a processor: of each app, and, rounded up, of the machine. */
  readonly cpuMillis?: number | undefined;
  /** What is not enforced, a line each. */
  readonly notes: readonly string[];
}

const BOUNDING = ['resource/memory', 'resource/cpu'];
const NOTHING: App = { exec: [], user: '', group: '', supplementaryGIDs: [], eventHandlers: [], workingDirectory: undefined, environment: [], mountPoints: [], ports: [], isolators: [], userAnnotations: undefined, userLabels: undefined };

export function podBounds(isolators: readonly Isolator[]): PodBounds {
  const { memory, cpuMillis } = isolationOf({ ...NOTHING, isolators: isolators.filter(({ name }) => BOUNDING.includes(name)) }) ?? {};
  return { memory, cpuMillis, notes: isolators.filter(({ name }) => !BOUNDING.includes(name)).map(({ name }) => `isolator ${name} of the pod is not enforced`) };
}

/** The app with no more than its pod has: the last isolator of a name counts. */
export function bounded(app: App, { memory, cpuMillis }: PodBounds): App {
  const own = isolationOf({ ...NOTHING, isolators: app.isolators.filter(({ name }) => BOUNDING.includes(name)) }) ?? {};
  const less = (bound: number | undefined, limit: number | undefined): bound is number => bound !== undefined && (limit === undefined || limit > bound);
  return {
    ...app,
    isolators: [
      ...app.isolators,
      ...(less(memory, own.memory) ? [{ name: 'resource/memory', value: { limit: `${memory}` } }] : []),
      ...(less(cpuMillis, own.cpuMillis) ? [{ name: 'resource/cpu', value: { limit: `${cpuMillis}m` } }] : []),
    ],
  };
}
