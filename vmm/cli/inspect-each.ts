/** What `inspect` of containers and of images share. */
import { forTerminal, jsonText } from './describe.ts';
import { eachOf } from './each-of.ts';
import { print } from './output.ts';
import { formatEach } from './template.ts';

export type Row = Readonly<Record<string, unknown>>;

/** As Docker: what is known of the others is printed all the same. Gives the exit status. */
export async function inspectEach(names: readonly string[], format: string | undefined, view: (name: string) => Row | Promise<Row>): Promise<number> {
  const rows: Row[] = [];
  const status = await eachOf(names, { failed: 1 }, async (name) => void rows.push(await view(name)));
  print(format === undefined || format === 'json' ? jsonText(rows) : forTerminal(formatEach(format, rows)));
  return status;
}
