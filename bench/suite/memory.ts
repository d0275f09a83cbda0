/** What processes take of memory, by part (proc(5), smaps). */
import { readFileSync } from 'node:fs';

/** Proportional set sizes, MiB. */
export interface Parts {
  readonly all: number;
  /** The one mapping that is as large as the guest's memory. */
  readonly guest: number;
  /** Of programs, libraries and other files: others that have them too carry their share. */
  readonly files: number;
  /** All else: heaps, stacks, tables, code that was made. */
  readonly own: number;
}

/** Throws where a process has ended meanwhile. `guestMib`: the guest's memory. */
export function partsOf(pids: readonly number[], guestMib: number): Parts {
  let [guest, files, own] = [0, 0, 0];
  for (const pid of pids) {
    for (const text of readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
      const [, from = '0', to = '0', path = ''] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/m.exec(text) ?? [];
      const pss = Number(/^Pss: +(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024;
      if (Number.parseInt(to, 16) - Number.parseInt(from, 16) === guestMib * 2 ** 20) guest += pss;
      else if (path.startsWith('/')) files += pss;
      else own += pss;
    }
  }
  return { all: guest + files + own, guest, files, own };
}
