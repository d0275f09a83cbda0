/** Apps that come and go in a pod that runs (`rkt app add, start, stop, rm`). */
import type { PodPlan, PodRun } from '../../vmm/api/pods.ts';
import { Failure, oneLine } from '../common/failure.ts';

/** stage0 holds pod.lck around each of its calls; here they are done one after the other all the same. */
export class MutableApps {
  readonly #run: PodRun;
  readonly #plan: (name: string, prefix: string) => PodPlan;
  readonly #gone: (name: string) => void;
  readonly #apps = new Map<string, PodPlan>();
  #count = 0;
  #last: Promise<void> = Promise.resolve();

  /** `plan`: of an app that stage0 has added to the pod's directory; the prefix keeps its exports' names apart. Throws. `gone`: it is removed. */
  constructor(run: PodRun, plan: (name: string, prefix: string) => PodPlan, gone: (name: string) => void) {
    this.#run = run;
    this.#gone = gone;
    this.#plan = plan;
  }

  do(kind: 'app-add' | 'app-start' | 'app-stop' | 'app-rm', name: string): Promise<void> {
    const next = this.#last.then(() => {
      if (kind === 'app-add') return this.#add(name);
      if (kind === 'app-start') return this.#start(name);
      return kind === 'app-stop' ? this.#stop(name) : this.#remove(name);
    });
    this.#last = next.catch(() => {});
    return next;
  }

  async #add(name: string): Promise<void> {
    if (this.#apps.has(name)) throw new Failure(`app ${oneLine(name)} is there already`);
    this.#count += 1;
    const plan = this.#plan(name, `${this.#count}-`);
    this.#apps.set(name, plan);
    try {
      await this.#run.addShares(plan.shares);
    } catch (error) {
      // stage0 unmounts its root next.
      for (const share of plan.shares) await this.#run.withdrawShare(share.name).catch(() => {});
      this.#forget(name);
      throw error;
    }
  }

  async #start(name: string): Promise<void> {
    const [app] = this.#known(name).apps;
    if (app !== undefined) await this.#run.startApp(app);
  }

  async #stop(name: string): Promise<void> {
    this.#known(name);
    // One that has ended, or was never started, is stopped: `rkt app rm` asks in any case.
    if (this.#run.running.includes(name)) await this.#run.stopApp(name);
  }

  /** Afterwards nothing below the app's root is open on the host: stage0 unmounts it next, and takes a refusal for a failure. */
  async #remove(name: string): Promise<void> {
    const plan = this.#known(name);
    await this.#stop(name);
    for (const share of plan.shares) await this.#run.withdrawShare(share.name);
    this.#forget(name);
  }

  #forget(name: string): void {
    this.#apps.delete(name);
    this.#gone(name);
  }

  #known(name: string): PodPlan {
    const app = this.#apps.get(name);
    if (app === undefined) throw new Failure(`app ${oneLine(name)} is not in this pod`);
    return app;
  }
}
