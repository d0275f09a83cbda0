/** `node scripts/manual.ts`: prints vmm(1), made from the tables that --help is made from. The package has it as dist/man/vmm.1. */
import { commandTables } from '../vmm/cli/commands.ts';
import { nameOf } from '../vmm/cli/help.ts';
import type { Command } from '../vmm/cli/options.ts';
import { VERSION } from '../vmm/cli/version.ts';

/** Text as roff prints it: no line of it is a request, no character an escape, and all of them ASCII. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    // A list of parameters is one word: it may break before each.
    .replaceAll('[,', '\\:[,')
    .replace(/^([.'])/gm, '\\&$1')
    .replace(/[^\0-\x7f]/gu, (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`);
}

function sectionOf(command: Command): string[] {
  const lines = [`.SS "vmm ${roff(`${command.name} ${command.synopsis}`.trimEnd())}"`, ...(command.about === '' ? [] : [roff(command.about)])];
  let heading = '';
  for (const [key, option] of Object.entries(command.options)) {
    const group = option.group ?? 'Options';
    if (group !== heading) lines.push('.PP', `.I ${roff(group)}`);
    heading = group;
    lines.push('.TP', `.B ${roff(nameOf(key, option).trim())}`, roff(option.help));
  }
  for (const [line, what] of command.examples ?? []) lines.push('.TP', `.B ${roff(line)}`, roff(what));
  for (const note of command.notes ?? []) lines.push('.PP', roff(note));
  return lines;
}

/** The manual page, for man(1). */
export async function manual(): Promise<string> {
  const commands = await commandTables();
  return [
    `.TH VMM 1 "" "vmm ${VERSION}" "User Commands"`,
    '.ad l',
    '.nh',
    '.SH NAME', `vmm \\- runs containers and kernels in virtual machines`,
    '.SH SYNOPSIS', ...commands.flatMap(({ name, synopsis }) => [`.B vmm ${roff(name)}`, roff(synopsis), '.br']),
    '.SH DESCRIPTION', 'Each container or kernel gets a virtual machine of its own: by /dev/kvm where that is hardware, else on an x86\\-64 CPU in WebAssembly.',
    '.SH COMMANDS', ...commands.flatMap(sectionOf),
    '.SH EXIT STATUS', "vmm run: the command's own, 126 or 127 where it cannot be run, 128 + n after signal n, 124 after \\-\\-timeout; 125 for vmm's own errors.",
    '.SH FILES', '.TP', '.I ~/.local/share/vmm', 'the store of images ($VMM_STORE, $XDG_DATA_HOME)', '.TP', '.I ~/.cache/vmm', 'what can be made again ($XDG_CACHE_HOME)', '',
  ].filter((line, i, all) => line !== '' || i === all.length - 1).join('\n');
}

if (import.meta.main) process.stdout.write(await manual());
