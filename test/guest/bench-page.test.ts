/** The start-up report in a real browser, at the widths of a phone and of a desk, light and dark. $VMM_PICTURES keeps what was seen. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Header, Line, Phase } from '../../bench/suite/log.ts';
import { SCHEMA } from '../../bench/suite/log.ts';
import { page } from '../../bench/suite/page.ts';
import { type Report, reportOf } from '../../bench/suite/report.ts';
import { figureCells } from '../../bench/suite/text.ts';
import { Browser } from '../support/browser.ts';
import { HANG_MS } from '../support/limits.ts';

/** A log as the suite writes it, with long names and a peer that says HTML. */
function report(): Report {
  const host = { cpu: 'a CPU with a rather long name @ 2.00GHz', cores: 2, memoryGib: 24, kernel: '6.18', node: '24', kvm: 'none', cgroup: 'v2', governor: 'unknown', nodeVariables: [], load: 0.5 };
  const header: Header = { kind: 'header', schema: SCHEMA, date: '2026-01-01T00:00:00.000Z', revision: 'abc', rounds: 9, warmUp: 1, host };
  const conditions = { kernel: 'k', memoryMib: 512, vcpus: 1, commandLine: 'console=hvc0 quiet', root: 'r' };
  const phases = (ms: number): Phase[] => ['options read', 'image ready', 'kernel loaded', 'first guest entry', 'init: main', 'container: command executed', 'machine stopped'].map((name, i) => ({ name, ms: ms * (i + 1) }));
  const peers = ['vmm wasm', 'qemu microvm tcg, spared its calibrations', 'runc'];
  const lines: Line[] = [header];
  for (const scenario of ['boot', 'container']) {
    for (const peer of peers) lines.push({ kind: 'entrant', scenario, peer, version: '1', command: ['program', '--option', 'x'.repeat(90)], conditions });
    for (let round = 0; round < 9; round++) {
      peers.forEach((peer, i) => lines.push({ kind: 'sample', scenario, peer, round, figures: { 'output ms': 100 * (i + 1) + 7 * round, 'CPU ms': 40 + round }, ...(i === 0 ? { phases: phases(10 + round) } : {}) }));
    }
  }
  lines.push({ kind: 'trouble', scenario: 'boot', peer: 'other', what: 'fails', detail: '<script>console.error("ran")</script><img src="http://127.0.0.1:1/x">' }, { kind: 'end' });
  return reportOf(lines);
}

let browser: Browser;
let dir: string;
let path: string;
const made = report();
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-page-'));
  path = join(dir, 'report.html');
  writeFileSync(path, page(made));
  browser = await Browser.open();
}, HANG_MS);
afterAll(async () => {
  await browser.close();
  rmSync(dir, { recursive: true });
});

const VIEWS = [{ width: 390, height: 844, dark: false }, { width: 390, height: 844, dark: true }, { width: 1440, height: 900, dark: false }, { width: 1440, height: 900, dark: true }];

describe.each(VIEWS)('$width px wide, dark: $dark', (view) => {
  beforeAll(() => browser.show(path, view), HANG_MS);

  test('nothing sticks out of the page, and no text is too small to read', async () => {
    expect(await browser.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(view.width);
    const sizes = await browser.evaluate<number[]>('[...document.querySelectorAll("body *")].filter((e) => e.childNodes.length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => parseFloat(getComputedStyle(e).fontSize))');
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(12);
  });

  test('ink and paper are those of the theme, and far enough apart', async () => {
    const luminance = (name: string): Promise<number> => browser.evaluate<number>(`(() => { const [r, g, b] = getComputedStyle(document.body).${name}.match(/\\d+/g).map((v) => { const c = v / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; })()`);
    const [ink, paper] = [await luminance('color'), await luminance('backgroundColor')];
    expect(paper > ink).toBe(!view.dark);
    expect((Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)).toBeGreaterThan(7); // WCAG 2, AAA
  });

  test('bars are as long as their phases, and every figure of the JSON is in the tables', async () => {
    const bar = await browser.evaluate<number[]>('[...document.querySelector(".bar").children].map((e) => e.getBoundingClientRect().width)');
    const { phases } = made.measured[0]!;
    const longest = phases.reduce((sum, { ms }) => sum + ms, 0);
    const whole = await browser.evaluate<number>('document.querySelector(".bar").getBoundingClientRect().width');
    phases.forEach(({ ms }, i) => expect(bar[i]! / whole).toBeCloseTo(ms / longest, 1));
    const cells = new Set(await browser.evaluate<string[]>('[...document.querySelectorAll("td")].map((e) => e.textContent)'));
    for (const { peer, figures } of made.measured) for (const [name, summary] of Object.entries(figures)) for (const cell of figureCells(peer, name, summary)) expect(cells).toContain(cell);
  });

  test('a picture of it', async () => {
    const keep = process.env['VMM_PICTURES'];
    if (keep !== undefined) mkdirSync(keep, { recursive: true });
    const picture = join(keep ?? dir, `report-${view.width}-${view.dark ? 'dark' : 'light'}.png`);
    await browser.picture(picture);
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
  });
});

describe('complaints', () => {
  test('of the report there are none', () => expect(browser.complaints).toEqual([]));

  test('of a page that asks for other files and writes to the console there are some', async () => {
    const other = join(dir, 'other.html');
    writeFileSync(other, '<img src="http://127.0.0.1:1/x"><script>console.error("said"); throw new Error("thrown")</script>');
    await browser.show(other, VIEWS[0]!);
    for (const word of ['http://127.0.0.1:1/x', 'said', 'thrown']) expect(browser.complaints.some((text) => text.includes(word)), word).toBe(true);
  });
});
