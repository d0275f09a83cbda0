/** `--log-driver` and `--log-opt`: where the output of a container that is kept goes. */
import { VmmError } from '../api/errors.ts';
import type { LogConfig } from '../api/owner.ts';
import { list, type OptionValues, value } from './options.ts';
import { parseSize } from './sizes.ts';

/** A line of the log fits. */
const LEAST_BYTES = 128 << 10;

export const LOG_OPTIONS = {
  logDriver: value('json-file|none', 'where output is kept (default json-file)', driver),
  logOpt: list('max-size=SIZE|max-file=N', 'bytes of one file of the log (default 10m), and how many are kept (default all)', option),
};

/** Undefined: as always. Throws USAGE. */
export function logOf({ logDriver, logOpt }: OptionValues<typeof LOG_OPTIONS>): LogConfig | undefined {
  if (logDriver === undefined && logOpt.length === 0) return undefined;
  if (logDriver === 'none' && logOpt.length > 0) throw new VmmError('USAGE', '--log-opt: there is no log with --log-driver none', { hint: 'leave one of them away' });
  return { driver: logDriver ?? 'json-file', ...Object.assign({}, ...logOpt) };
}

function driver(text: string, name: string): LogConfig['driver'] {
  if (text !== 'json-file' && text !== 'none') throw new VmmError('USAGE', `${name}: there is no driver ${text}`, { hint: 'json-file, whose files others can read, or none' });
  return text;
}

function option(text: string, name: string): Pick<LogConfig, 'maxSize' | 'maxFiles'> {
  const [key, given = ''] = text.split('=');
  if (key === 'max-file') {
    if (!/^[1-9]\d{0,5}$/.test(given)) throw new VmmError('USAGE', `${name}: ${text}: it is no number of files`, { hint: 'for example max-file=3' });
    return { maxFiles: Number(given) };
  }
  if (key !== 'max-size') throw new VmmError('USAGE', `${name}: ${text} is not known`, { hint: 'max-size=10m and max-file=3 are' });
  const bytes = parseSize(given, `${name}: max-size`, 'bytes');
  if (bytes < LEAST_BYTES) throw new VmmError('USAGE', `${name}: ${text} is too small`, { hint: 'give 128k or more' });
  return { maxSize: bytes };
}
