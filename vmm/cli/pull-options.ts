import { VmmError } from '../api/errors.ts';
import type { PullPolicy } from '../api/images.ts';
import { flag, oneOf, value } from './options.ts';

const POLICIES: readonly PullPolicy[] = ['missing', 'always', 'newer', 'never'];

export const PLATFORM = value('OS/ARCH', 'of an image for several (only linux/amd64 runs here)', platform);
export const PULL = value('missing|always|newer|never', 'when to ask the image’s registry (default missing: when the store has no such image)', oneOf(...POLICIES));

/** As Docker's client has them. */
export const TRUST_OPTIONS = {
  contentTrust: flag('take signed tags only (Docker Content Trust; also by DOCKER_CONTENT_TRUST=1)'),
  disableContentTrust: { ...flag('take unsigned tags, whatever DOCKER_CONTENT_TRUST says; with =false signed ones only'), initial: undefined as boolean | undefined },
};

/** Whether only signed tags count; Docker's variable is read as Go reads truth. */
export function contentTrust({ contentTrust: on, disableContentTrust: off }: { readonly contentTrust: boolean; readonly disableContentTrust: boolean | undefined }): boolean {
  return on || off === false || (off === undefined && /^(1|t|T|true|TRUE|True)$/.test(process.env['DOCKER_CONTENT_TRUST'] ?? ''));
}

/** Throws IMAGE_PLATFORM for what the machine is not. */
function platform(text: string, option: string): string {
  if (/^linux\/(amd64|x86_64|x86-64)(\/v[1-4])?$/.test(text)) return text;
  throw new VmmError('IMAGE_PLATFORM', `${option}: ${text} does not run here`, { hint: 'the machine is linux/amd64' });
}
