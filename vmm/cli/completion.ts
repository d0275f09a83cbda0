import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { commandTables } from './commands.ts';
import { type Command, longName, type Option } from './options.ts';
import { print } from './output.ts';

/** What the shell shall complete itself. */
const FILES = ':files';

/** The shells' side: each asks `vmm completion -- WORDS…` for candidates, a line each, a tab between word and help. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_vmm() {
  local line files= strip words
  read -ra words <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && words+=('')
  local last=\${words[-1]} word=\${COMP_WORDS[COMP_CWORD]}
  # bash takes = and : for ends of words: what stands before them is not to be given again.
  case $word in [=:]) word= ;; esac
  strip=\${last%"$word"}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ${FILES} ]]; then files=1; else line=\${line%%$'\\t'*}; COMPREPLY+=("\${line#"$strip"}"); fi
  done < <("\${words[0]}" completion -- "\${words[@]:1}" 2>/dev/null)
  if [[ $files ]]; then
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
  fi
}
complete -F _vmm vmm
`,
  zsh: `#compdef vmm
_vmm() {
  local line files=
  local -a found
  while IFS= read -r line; do
    if [[ $line == ${FILES} ]]; then files=1; else found+=("\${\${line%%$'\\t'*}//:/\\\\\\\\:}:\${line#*$'\\t'}"); fi
  done < <("\${words[1]}" completion -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#found} )) && _describe vmm found
  [[ -n $files ]] && _files
  return 0
}
compdef _vmm vmm
`,
  fish: `function __vmm_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] completion -- $words[2..-1] 2>/dev/null)
        if test "$line" = ${FILES}
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c vmm -f -a '(__vmm_complete)'
`,
};

/** `vmm completion SHELL` prints the script for a shell; `vmm completion -- WORDS…` what the last of the words may become. */
export async function completionCommand([shell, ...words]: readonly string[]): Promise<number> {
  if (shell === '--') {
    print((await candidates(words)).map((line) => `${line}\n`).join(''));
    return 0;
  }
  if (shell === undefined || !Object.hasOwn(SCRIPTS, shell)) throw new VmmError('USAGE', `completion is for bash, zsh or fish, not ${shell ?? 'nothing'}`, { hint: 'for example `source <(vmm completion bash)`' });
  print(SCRIPTS[shell] as string);
  return 0;
}

/** Lines for the shell: a candidate, a tab, a word of help; or that files are wanted. Those that do not begin as the last word are left out. */
async function candidates(words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? '';
  return (await anyCandidates(words)).filter((line) => line === FILES || line.startsWith(last));
}

async function anyCandidates(words: readonly string[]): Promise<string[]> {
  const commands = await commandTables();
  const names = commands.map(({ name }) => name.split(' '));
  const [first = '', second = ''] = words;
  if (words.length < 2) return commands.flatMap(({ name, about }) => (name.includes(' ') ? [] : [`${name}\t${about}`])).concat('image\tthe local store of images', 'aci\tapp container images', 'version\tthe version', 'help\tthe commands');
  const below = names.filter(([group, sub]) => group === first && sub !== undefined);
  if (below.length > 0 && words.length === 2) return below.map(([, sub]) => `${sub}\t`);
  const command = commands.find(({ name }) => name === first || name === `${first} ${second}`);
  return command === undefined ? [] : within(command, words.slice(command.name.split(' ').length));
}

/** `words`: those behind the command's name. */
function within(command: Command, words: readonly string[]): string[] {
  const last = words.at(-1) ?? '';
  let operands = 0;
  let open: Option<unknown> | undefined;
  for (const word of words.slice(0, -1)) {
    if (open !== undefined) open = undefined;
    else if (operands > 0 && command.stopAtArgument) operands++;
    else if (word.startsWith('-') && word !== '-') open = takesNext(command, word);
    else operands++;
  }
  if (open !== undefined) return valuesOf(open, '');
  if (operands > 0 && command.stopAtArgument) return [FILES];
  const [, name, prefix] = /^(--[^=]+)(=)/.exec(last) ?? [];
  const given = name === undefined ? undefined : optionOf(command, name);
  if (given !== undefined) return valuesOf(given, `${name}${prefix}`);
  if (last.startsWith('-')) return optionNames(command);
  return operandsOf(command, operands);
}

function optionNames(command: Command): string[] {
  return Object.entries(command.options).flatMap(([key, { help, short, alias = [] }]) => [`--${longName(key)}`, ...alias.map((other) => `--${other}`), ...(short === undefined ? [] : [`-${short}`])].map((word) => `${word}\t${help}`));
}

function optionOf(command: Command, word: string): Option<unknown> | undefined {
  return Object.entries(command.options).find(([key, { alias = [] }]) => [longName(key), ...alias].some((name) => word === `--${name}`))?.[1];
}

/** The option whose value is the next word: `--memory`, `-m`, and `-itm`. */
function takesNext(command: Command, word: string): Option<unknown> | undefined {
  const option = word.startsWith('--') ? optionOf(command, word) : Object.values(command.options).find(({ short }) => short !== undefined && word.endsWith(short));
  return option?.kind === 'value' || option?.kind === 'list' ? option : undefined;
}

/** What an option's placeholder says of its values: `auto|kvm|wasm` are words, and FILE or DIR a path. */
function valuesOf({ value = '', help }: Option<unknown>, prefix: string): string[] {
  if (/^[\w-]+(\|[\w-]+)+$/.test(value)) return value.split('|').map((word) => `${prefix}${word}\t${help}`);
  return /^(FILE|DIR|PATH)/.test(value) ? [FILES] : [];
}

function operandsOf({ name }: Command, operands: number): string[] {
  if (name.startsWith('aci ')) return [FILES];
  if (!/^(run|image (rm|inspect|import))$/.test(name)) return [];
  const files = name === 'run' || (name === 'image import' && operands === 0) ? [FILES] : [];
  return [...imageNames().map((image) => `${image}\timage`), ...files];
}

/** Nobody wants an error of the store between the words of a command line. */
function imageNames(): string[] {
  try {
    return new ImageStore(undefined, hostFs).list().flatMap(({ names }) => names);
  } catch {
    return [];
  }
}
