/** `app/add`, `app/start`, `app/stop`, `app/rm`: `--debug=B [--uuid=UUID] --app=APP`, in the directory of a pod that runs and is mutable. */
import { Failure } from './common/failure.ts';
import { parseFlags } from './common/flags.ts';
import { askOnce } from './control/client.ts';

export function app(kind: 'app-add' | 'app-start' | 'app-stop' | 'app-rm'): (argv: readonly string[]) => Promise<number> {
  return async (argv) => {
    const { values } = parseFlags(argv, { debug: 'boolean', uuid: 'string', app: 'string' });
    const name = values.get('app') ?? '';
    if (name === '') throw new Failure(`${kind} without --app`);
    await askOnce({ kind, app: name });
    return 0;
  };
}
