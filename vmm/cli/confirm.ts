import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { print } from './output.ts';

/** Asks on the terminal, or whatever standard input is: its end is a no. */
export async function confirmed(question: string): Promise<boolean> {
  print(question);
  const lines = createInterface({ input: process.stdin });
  const answer = await Promise.race([once(lines, 'line').then(([line]: string[]) => line ?? ''), once(lines, 'close').then(() => '')]);
  lines.close();
  return answer.trim().toLowerCase() === 'y';
}
