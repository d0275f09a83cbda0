import { VmmError } from '../../../base/errors.ts';

/**
 * Where a manifest's reading stands: which document it is, and where the specification is stricter than the reference's code
 * (github.com/appc/spec v0.8.11), whose verdict counts.
 */
export class Context {
  /** What messages call the document. */
  readonly where: string;
  /** A line for each thing that the specification forbids and the reference's code lets pass. */
  readonly warnings: string[] = [];
  /** Unknown isolators of an app: the reference's code refuses them, who runs an image keeps and tells them. */
  readonly keepUnknownIsolators: boolean;
  /** A pod may name its images without their ids: they are filled in from the store. */
  readonly imagesByName: boolean;
  /** A pod's mounts may name mount points, as before 0.7.0: rkt of that time sends such pods. */
  readonly olderMounts: boolean;

  constructor(where: string, options: { keepUnknownIsolators?: boolean; imagesByName?: boolean; olderMounts?: boolean } = {}) {
    this.where = where;
    this.keepUnknownIsolators = options.keepUnknownIsolators ?? false;
    this.imagesByName = options.imagesByName ?? false;
    this.olderMounts = options.olderMounts ?? false;
  }

  /** Throws nothing: at most a hundred are kept. */
  warn(field: string, what: string): void {
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push(`${field}: ${what}`);
  }

  bad(field: string, what: string): VmmError {
    return new VmmError('ACI_MANIFEST', `${this.where}: ${field === '' ? '' : `${field}: `}${what}`, { hint: 'see the App Container specification 0.8.11' });
  }
}

const MAX_WARNINGS = 100;

/** Text of a document for a message: short, and quoted. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
