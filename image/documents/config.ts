/** The part of an image's configuration that a run needs (OCI image-spec config.md, appc's app section). */
export interface ImageProcessConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal: string | undefined;
  /** Absolute paths that are to be writable directories, made where the image has none; the image's content there is kept. */
  readonly volumes: readonly string[];
  /** Ports that it listens on, `80/tcp`, as it says them: whoever publishes them looks. */
  readonly exposed?: readonly string[] | undefined;
  /** How its health is checked, where it says so. */
  readonly healthcheck?: ImageHealthcheck;
  /** What an ACI asks of its run beyond that. */
  readonly isolation?: Isolation;
}

/** Docker's HEALTHCHECK (moby's image specification). What is absent was not said. */
export interface ImageHealthcheck {
  /** NONE; CMD and words; CMD-SHELL and a line. */
  readonly test: readonly string[];
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly startPeriodMs?: number;
  readonly startIntervalMs?: number;
  readonly retries?: number;
}

/** An appc app's isolators and groups, as a run heeds them. What is absent was not asked for. */
export interface Isolation {
  /** Capabilities that are kept, and no other: `CAP_KILL`. */
  readonly retain?: readonly string[];
  /** Capabilities of the default set that go. */
  readonly remove?: readonly string[];
  readonly noNewPrivileges?: boolean;
  /** A profile's text as Docker takes it, or `unconfined`. */
  readonly seccomp?: string;
  /** The default filter, with these system calls allowed or blocked beside; `errno` 0: what is blocked kills. */
  readonly seccompChanges?: { readonly allow: readonly string[]; readonly block: readonly string[]; readonly errno: number };
  /** Bytes. */
  readonly memory?: number;
  /** Thousandths of a CPU's time. */
  readonly cpuMillis?: number;
  /** As cgroup v1 counts them: 2 to 262144. */
  readonly cpuShares?: number;
  readonly oomScoreAdj?: number;
  /** Supplementary groups by number. */
  readonly groups?: readonly string[];
  /** What nobody enforces here, a line each; a run tells of it. */
  readonly ignored?: readonly string[];
}

/** An image without a configuration, such as a plain directory or tar archive. */
export const EMPTY_CONFIG: ImageProcessConfig = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] };
