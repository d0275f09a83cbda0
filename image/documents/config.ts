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
}

/** An image without a configuration, such as a plain directory or tar archive. */
export const EMPTY_CONFIG: ImageProcessConfig = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] };
