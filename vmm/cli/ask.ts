import { VmmError } from '../api/errors.ts';
import { tell } from './output.ts';

/** A line of the terminal; what is typed is shown only if it may be. `hint`: what to do where there is no terminal. */
export async function ask(question: string, shown: boolean, hint: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) throw new VmmError('USAGE', 'there is no terminal to ask on', { hint });
  tell(question);
  stdin.setRawMode(true);
  try {
    let line = '';
    for await (const chunk of stdin.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      for (const key of chunk as string) {
        if (key === '\r' || key === '\n') return line;
        if (key === '\u0003' || key === '\u0004') throw new VmmError('USAGE', 'nobody answered');
        if (key === '\u007f') line = line.slice(0, -1);
        else line += key;
        if (shown) tell(key === '\u007f' ? '\b \b' : key);
      }
    }
    return line;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    tell('\n');
  }
}
