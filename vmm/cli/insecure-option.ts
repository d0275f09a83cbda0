import { parseInsecure } from '../api/insecure.ts';
import { value } from './options.ts';

/** Of every command that takes ACIs in. */
export const INSECURE = value('WORD,…', 'for app container images: image (unsigned ones too), tls, http, as rkt has it', parseInsecure);
