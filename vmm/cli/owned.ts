/** What the process that owns a container does with it, whether it has the container's machine or another process does. */
import { type ContainerNetwork, type ContainerResult, ContainerRun, type ContainerSpec, type ProcessSpec } from '../api/containers.ts';
import { type Stats, statsOf, type Talker } from '../api/owner.ts';

export interface OwnedProcess extends Talker {
  /** Settles when it runs, or is known not to. */
  readonly started: Promise<unknown>;
}

export interface OwnedContainer {
  readonly spec: Omit<ContainerSpec, 'root'>;
  readonly stopSignal: number;
  readonly network: ContainerNetwork;
  readonly space: ContainerRun['space'];
  /** The present one: each start makes another. */
  readonly process: OwnedProcess;
  readonly container: {
    exec(spec: ProcessSpec): OwnedProcess;
    pause(): Promise<void>;
    resume(): Promise<void>;
  };
  readonly guest: { sync(): Promise<void> };
  /** Of one whose machine is another's. */
  figures?(): Promise<Stats>;
  update(cgroup: readonly string[], memory?: number): Promise<void>;
  run(options: Parameters<ContainerRun['run']>[0]): Promise<ContainerResult>;
  kill(): void;
}

/** A container's figures, of its cgroup and its machine. */
export async function figuresOf(run: OwnedContainer): Promise<Stats> {
  if (run instanceof ContainerRun) return statsOf(await run.container.stats(), await run.guest.stats(), Date.now());
  return await (run.figures as () => Promise<Stats>)();
}
