/** What a VmmError may carry beside its message. */
export interface VmmErrorOptions {
  /** What the user can do about it; printed after the message. */
  hint?: string;
  cause?: unknown;
}

/**
 * The one error family of the project. `code` is stable and listed in docs/errors.md;
 * the message is one line that says what failed and where, and does not repeat its cause.
 */
export class VmmError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: VmmErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'VmmError';
    this.code = code;
    this.hint = options.hint;
  }
}
