/** `vmm image history`: Docker's columns; sizes are those of the layers as they are kept, packed. */
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { imageDetails } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { sinceText } from './duration-text.ts';
import { flag, value } from './options.ts';
import { print } from './output.ts';
import { dockerSize } from './size-text.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';

const SHORT = 12;
const LONGEST = 45;
const MISSING = '<missing>';
const TITLES = { ID: 'IMAGE', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', CreatedBy: 'CREATED BY' };

const OPTIONS = {
  format: value('TEMPLATE', 'a Go template of .ID .CreatedSince .CreatedAt .CreatedBy .Size .Comment, or json'),
  human: { ...flag('times and sizes for people (default true)', { short: 'H' }), initial: true },
  noTrunc: flag('whole lines'),
  quiet: flag('ids only', { short: 'q' }),
  help: HELP,
};

export const HISTORY_COMMAND: Subcommand = subcommand({ name: 'image history', synopsis: '[OPTIONS] IMAGE', about: 'Prints the steps by which an image was made, the last first.', options: OPTIONS }, [1, 1, 'one image'], ([name = ''], { format, human, noTrunc, quiet }) => {
  const store = new ImageStore(undefined, hostFs);
  const { record } = store.named(name);
  const steps = imageDetails(store, record)?.history;
  if (steps === undefined) throw new VmmError('IMAGE_NOT_FOUND', `the store has no history of ${name}`, { hint: 'it came without one, or before histories were kept: pull or import it again' });
  const now = Date.now();
  const rows = steps.map(({ created, by, comment, size }, i) => {
    const known = created !== undefined && !Number.isNaN(Date.parse(created));
    const at = known ? `${new Date(created).toISOString().slice(0, 19)}Z` : '';
    const line = oneLine(by.replaceAll('\t', ' '));
    return {
      ID: i > 0 ? MISSING : noTrunc ? record.id : record.id.replace(/^sha\d+:/, '').slice(0, SHORT),
      CreatedSince: human && known ? `${sinceText(created, now)} ago` : at,
      CreatedAt: at,
      CreatedBy: noTrunc || line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`,
      Size: human ? dockerSize(size) : `${size}`,
      Comment: oneLine(comment),
    };
  });
  if (quiet) print(rows.map(({ ID }) => `${ID}\n`).join(''));
  else print(formatRows(format ?? `table {{.ID}}\\t{{${human ? '.CreatedSince' : '.CreatedAt'}}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}`, rows, TITLES));
  return 0;
});
