/** Templates of --format against Docker’s own client, where it is here. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatEach, formatRows } from '../../../vmm/cli/template.ts';
import { DOCKER } from '../../support/cli/docker-client.ts';

/** What the client has no Go type for: it goes over it as JSON, as ours does over everything. */
const ROW = {
  Id: 'f'.repeat(64), Name: '/box', Args: ['-c', 'true'], State: { Status: 'running', Running: true, Paused: false, ExitCode: 0 },
  Config: { Labels: { a: '1', b: '2' }, Env: ['A=1', 'B=2'], Hostname: 'box' },
  NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }, { HostIp: '::', HostPort: '8080' }], '53/udp': [] }, Networks: { user: { IPAddress: '10.0.2.15' }, other: { IPAddress: '10.1.0.1' } } },
  Own: { Text: 'héllo wörld', Empty: '', List: ['c', 'a', 'b'], None: [], Map: { z: 1, a: 'two', m: [1, { x: null }], Z: true }, Nothing: {}, Nil: null, Yes: true, No: false },
};

let folder: string;
let server: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-template-'));
  server = createServer((request, response) => {
    response.setHeader('Api-Version', '1.41');
    response.setHeader('Content-Type', 'application/json');
    response.end(request.url?.includes('/json') ? JSON.stringify(ROW) : 'OK');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What Docker's own client prints of the row, or that it refuses the template. */
function docker(template: string): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const args = ['-H', `tcp://127.0.0.1:${port}`, 'inspect', '--type', 'container', '-f', template, 'box'];
  return new Promise((resolve) => {
    execFile(DOCKER as string, args, { timeout: 60_000, env: { PATH: process.env['PATH'], HOME: folder, DOCKER_CONFIG: folder } }, (error, stdout, stderr) => resolve(error === null ? stdout : /emplate/.test(stderr) ? 'refused' : `${stdout}${stderr}`));
  });
}

function ours(template: string): string {
  try {
    return formatEach(template, [ROW]);
  } catch (cause) {
    expect(cause).toMatchObject({ code: 'USAGE', message: expect.stringMatching(/^--format: /) });
    return 'refused';
  }
}

/** Each ends with a field that only JSON has, so that the client gives up its types. */
const TEMPLATES = [
  '{{.Name}}', 'x{{.State.Status}}y', '{{json .State.Running}}', '{{json .Config.Labels}}',
  '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}',
  '{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{range $conf}}{{.HostPort}},{{else}}none{{end}}{{end}}',
  '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '{{(index .NetworkSettings.Ports "80/tcp" 1).HostIp}}',
  '{{index .Config.Labels "a"}}', '{{index .Own.List 2}}', '{{index .Own.List 3}}', '{{index .Own.List -1}}', '{{index .Own.Text "a"}}',
  '{{if .State.Running}}up{{else}}down{{end}}', '{{if .State.Paused}}p{{else if .State.Running}}r{{else}}n{{end}}', '{{if not .Own.No}}a{{end}}', '{{if and .Own.Yes .Own.No}}a{{else}}b{{end}}', '{{if or .Own.No .Own.Text}}a{{end}}',
  '{{with .Own.Text}}{{.}}{{end}}', '{{with .Own.Empty}}x{{else}}none{{end}}', '{{with $x := .Own.List}}{{len $x}}{{$.Name}}{{end}}',
  '{{.Args | len}}', '{{len .Own.Map}}', '{{len .Own.Text}}', '{{len 3}}', '{{upper .Name}}', '{{.Name | upper | lower}}', '{{title .Own.Text}}', '{{.Own.Text | printf "%s-%s" "a"}}',
  '{{split .Own.Text " "}}', '{{range split .Own.Text " "}}[{{.}}]{{end}}', '{{truncate .Own.Text 1}}', '{{pad .Name 2 3}}|', '{{pad .Own.Empty 2 3}}|',
  '{{println .Name .Args}}', '{{print .Name .Name}}', '{{print 1 2 "x" 3}}', '{{printf "%d %q %v %t %%" 7 "a\\"b" .Own.List true}}', '{{printf "%5s|%-5s|" "ab" "ab"}}',
  '{{.Args}}', '{{.Own.Map}}', '{{.Own.Nil}}', '{{.Own.List}}', '{{.Own.Nothing}}', '{{.Own}}', '{{json .Own.Nil}}', '{{json .Own.List}}',
  '{{eq .Name "/box"}}', '{{eq .Name "a" "/box"}}', '{{ne .Name "a"}}', '{{lt 1 2}}{{le 2 2}}{{gt 1 2}}{{ge "b" "a"}}', '{{eq 1 "a"}}', '{{if eq .Own.Yes true}}y{{end}}',
  'a {{- .Name -}} b', 'a {{/* no */}} b', 'a {{- /* no */ -}} b', '{{"}}"}}', '{{`a\\n`}}', '{{"a\\tb\\u00e9\\x41"}}', "{{'a'}}", '{{0x10}}', '{{1.5}}', '{{true}}', '{{-3}}',
  '{{$x := .Name}}{{$x}}{{$x = "y"}}{{$x}}', '{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}', '{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}', '{{range $i, $v := .Own.List}}{{$i}}={{$v}} {{end}}', '{{range $v := .Own.List}}{{$v}}{{end}}',
  '{{range .Own.None}}x{{else}}empty{{end}}', '{{range $k, $v := .Own.Map}}{{$k}} {{end}}', '{{slice .Own.List 1}}', '{{slice .Name 1 3}}', '{{range .Own.List}}{{$.Name}}{{end}}',
  '{{range .Config.Env}}{{if eq . "B=2"}}{{.}}{{end}}{{end}}', '{{with index .Own.Map "m"}}{{len .}}{{end}}', '{{.}}{{/**/}}',
  // refused
  '{{.None}}', '{{.Name.X}}', '{{', '{{.Name', '{{}}', '{{end}}', '{{if .Name}}', '{{else}}', '{{nosuch .Name}}', '{{$y}}', '{{(.Name}}', '{{range}}{{end}}', '{{if true}}a{{else}}b{{else}}c{{end}}', '{{.Name "x"}}', '{{join .Name ","}}', '{{index}}', '{{"a}}', '{{range .Own.Yes}}x{{end}}', '{{break}}', '{{.Name := 3}}', '{{upper 3}}', '{{1 2}}', '{{. .}}',
];

/** Of what the client has types for: maps of strings, lists of strings. */
const TYPED = ['{{join .Args " "}}', '{{index .Config.Labels "none"}}!', '{{range $i, $e := .Config.Env}}{{$i}}{{$e}} {{end}}', '{{join .Config.Env ","}}', '{{.Config.Labels}}', '{{.State.ExitCode}}', '{{.Name}}\\n'];

/** The client tries its own types first, whose zero values it knows: a field of none makes it take the JSON. */
const forced = (text: string): string => (/^\{\{$|^\{\{\.Name$|^\{\{"a\}\}$/.test(text) ? text : `${text}{{with .Own.Nil}}{{end}}`);
const MARK = '<|>';
let answers: Promise<ReadonlyMap<string, string>> | undefined;

/** One start of the client for all that ours takes; where it refuses one of them, none has an answer here. */
async function together(): Promise<ReadonlyMap<string, string>> {
  const taken = TEMPLATES.map(forced).filter((text) => ours(text) !== 'refused');
  const parts = (await docker(taken.join(MARK))).slice(0, -1).split(MARK);
  return new Map(parts.length === taken.length ? taken.map((text, i) => [text, `${parts[i]}\n`]) : []);
}

describe('templates of --format', () => {
  it.skipIf(DOCKER === undefined).each(TYPED.map((text) => [text]))('%s: as Docker’s client has it, by its types', async (text) => {
    expect(ours(text)).toBe(await docker(text));
  });

  it.skipIf(DOCKER === undefined).each(TEMPLATES.map((text) => [text]))('%s: as Docker’s client has it', async (text) => {
    answers ??= together();
    const whole = forced(text);
    expect(ours(whole)).toBe((await answers).get(whole) ?? (await docker(whole)));
  });

  it('what Docker’s older client lacks', () => {
    const run = (template: string): string => formatRows(template, [ROW]);
    expect(run('{{range .Own.List}}{{if eq . "a"}}{{break}}{{end}}{{.}}{{end}}')).toBe('c\n');
    expect(run('{{range .Own.List}}{{if eq . "a"}}{{continue}}{{end}}{{.}}{{end}}')).toBe('cb\n');
    expect(run('{{with .Own.Empty}}a{{else with .Own.Text}}{{.}}{{end}}')).toBe('héllo wörld\n');
  });

  it('a table’s heading has titles where rows have values', () => {
    expect(formatRows('table {{.Name}}\\t{{upper .Own}}\\t{{truncate .Id 12}}\\t{{json .Label}}', [{ Name: 'n', Own: 'x', Id: 'abcdefghijklmnop', Label: 1 }], { Own: 'MINE' })).toBe('NAME      MINE      ID             LABEL\nn         X         abcdefghijkl   1\n');
    expect(formatRows('table {{printf "%-6s|" .Name}}{{print .Own "x"}}', [{ Name: 'n', Own: 'y' }])).toBe('NAME  |OWNx\nn     |yx\n');
    expect(formatRows('{{.Label "a"}}', [{ Labels: { a: 'b' } }])).toBe('b\n');
  });

  it.each([['define', '{{define "x"}}{{end}}'], ['template', '{{template "x"}}'], ['block', '{{block "x" .}}{{end}}']])('%s is refused by name', (name, template) => {
    expect(() => formatRows(template, [ROW])).toThrow(`{{${name}}} is not supported`);
  });

  it('a hostile template ends: parentheses, blocks, spaces', () => {
    expect(() => formatRows(`{{${'('.repeat(50_000)}}}`, [ROW])).toThrow('within one another');
    expect(() => formatRows('{{if true}}'.repeat(20_000), [ROW])).toThrow('within one another');
    expect(() => formatRows('{{pad "x" 100000000 1}}', [ROW])).toThrow('pad with');
    expect(formatRows(`{{${'"a"|upper'}${'|lower'.repeat(5000)}}}`, [ROW])).toBe('a\n');
  });
});
