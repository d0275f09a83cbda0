/** `--change` of `vmm commit`: instructions of a Dockerfile that say how an image runs. */
import { VmmError } from '../api/errors.ts';
import type { ImageProcessConfig } from '../api/images.ts';
import { signalNumber } from '../api/containers.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Throws USAGE. */
export function parseChanges(config: ImageProcessConfig, labels: Readonly<Record<string, string>>, lines: readonly string[]): { config: ImageProcessConfig; also: { Labels: Readonly<Record<string, string>>; ExposedPorts: Readonly<Record<string, object>> | undefined } } {
  const changed: Writable<ImageProcessConfig> = { ...config };
  const also: { ExposedPorts?: Record<string, object>; Labels: Readonly<Record<string, string>> } = { Labels: labels };
  for (const line of lines) {
    const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(line) ?? [];
    const refused = (why: string): VmmError => new VmmError('USAGE', `--change ${line}: ${why}`, { hint: 'for example CMD ["sh"], ENV A=b, WORKDIR /src' });
    if (rest === '') throw refused('says nothing');
    switch (word.toUpperCase()) {
      case 'CMD':
        changed.cmd = words(rest);
        break;
      case 'ENTRYPOINT':
        changed.entrypoint = words(rest);
        break;
      case 'ENV':
        for (const [name, text] of pairs(rest, refused)) changed.env = [...changed.env.filter((other) => !other.startsWith(`${name}=`)), `${name}=${text}`];
        break;
      case 'LABEL':
        also.Labels = { ...also.Labels, ...Object.fromEntries(pairs(rest, refused)) };
        break;
      case 'EXPOSE':
        for (const port of rest.split(/\s+/)) {
          if (!/^\d{1,5}(\/(tcp|udp|sctp))?$/.test(port)) throw refused(`${port} is no port`);
          const name = port.includes('/') ? port : `${port}/tcp`;
          also.ExposedPorts = { ...also.ExposedPorts, [name]: {} };
          changed.exposed = [...new Set([...(changed.exposed ?? []), name])];
        }
        break;
      case 'USER':
        changed.user = rest;
        break;
      case 'WORKDIR':
        changed.workingDir = rest.startsWith('/') ? rest : `${changed.workingDir === '' ? '' : changed.workingDir}/${rest}`;
        break;
      case 'VOLUME':
        changed.volumes = [...new Set([...changed.volumes, ...(rest.startsWith('[') ? words(rest) : rest.split(/\s+/))])];
        break;
      case 'STOPSIGNAL':
        signalNumber(rest, '--change STOPSIGNAL');
        changed.stopSignal = rest;
        break;
      default:
        throw refused(`${word} is not one that says how an image runs`);
    }
  }
  return { config: changed, also: { Labels: also.Labels, ExposedPorts: also.ExposedPorts } };
}

/** As Docker: a JSON list is a command, other text is the shell's. */
function words(text: string): readonly string[] {
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed as string[];
  } catch {
    // a shell's
  }
  return ['/bin/sh', '-c', text];
}

/** `A=b C="d e"`, or the old `A b`. */
function pairs(text: string, refused: (why: string) => VmmError): (readonly [string, string])[] {
  if (!text.split(/\s/, 1)[0]?.includes('=')) {
    const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
    if (name === '') throw refused('NAME=VALUE is wanted');
    return [[name, rest]];
  }
  const found: (readonly [string, string])[] = [];
  const one = /\s*([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s\\]|\\.)*)/gy;
  let end = 0;
  for (let match = one.exec(text); match !== null; match = one.exec(text)) {
    end = one.lastIndex;
    const [, name = '', raw = ''] = match;
    const meant = raw.startsWith("'") ? raw.slice(1, -1) : (raw.startsWith('"') ? raw.slice(1, -1) : raw).replace(/\\(.)/gs, '$1');
    found.push([name, meant]);
  }
  if (text.slice(end).trim() !== '') throw refused('NAME=VALUE is wanted');
  return found;
}
