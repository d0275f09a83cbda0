/** Programs of a Debian user land, each some seconds of work on an interpreter, whose output depends on nothing but the program. */

export interface RealProgram {
  readonly name: string;
  /** For bash, in /tmp, after PREPARE. What it prints is held against the other runs of it. */
  readonly script: string;
}

/** Packages of the root that they want, beside those of Debian's minimal one. */
export const PACKAGES = ['gcc', 'git', 'libc6-dev', 'lua5.4', 'make', 'openssl', 'perl', 'procps', 'python3', 'ruby', 'sqlite3', 'xz-utils', 'zstd'];

/** Input of several programs: text with little and with much that repeats. */
export const PREPARE = `cd /tmp
cat /usr/include/*.h /usr/share/perl/5*/pod/perl[a-e]*.pod /usr/include/linux/*.h 2>/dev/null | head -c 3000000 > text
seq 1 60000 | awk '{ x = (x * 1103515245 + 12345 + $1) % 2147483648; print x, $1 }' > numbers
`;

const PYTHON: readonly RealProgram[] = [
  { name: 'python: words', script: `python3 -c '
import collections, re
text = open("/tmp/text", encoding="latin1").read(600000)
c = collections.Counter()
for line in text.splitlines():
    for w in re.findall("[a-z]+", line): c[w] += len(w)
print(sorted(c.items(), key=lambda p: (-p[1], p[0]))[:5])'` },
  { name: 'python: objects', script: `python3 -c '
class P:
    def __init__(self, x, y): self.x, self.y = x, y
    def add(self, o): return P((self.x + o.x) % 65521, (self.y * 3 + o.y) % 65521)
p = P(1, 2); q = P(3, 5)
for i in range(150000): p, q = q.add(p), p
print(p.x, q.y)'` },
  { name: 'python: queens', script: `python3 -c '
def queens(n, row, cols, d1, d2):
    if row == n: return 1
    return sum(queens(n, row + 1, cols | 1 << c, d1 | 1 << row + c, d2 | 1 << row - c + n) for c in range(n) if not (cols >> c | d1 >> row + c | d2 >> row - c + n) & 1)
print(queens(8, 0, 0, 0, 0))'` },
];

export const PROGRAMS: readonly RealProgram[] = [
  ...PYTHON,
  { name: 'perl', script: `perl -e 'open F, "head -c 900000 text |"; my (%n, $k); while (<F>) { while (/(\\w+)/g) { $n{$1}++; $k += length $1 } s/\\s+/ /g } print "$k ", scalar(keys %n), " ", join(",", (sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n)[0..4]), "\\n"'` },
  { name: 'ruby', script: `ruby --disable=gems -e 's = 0; h = Hash.new(0); 1.upto(300000) { |i| h[i % 977] += i; s = (s * 31 + h[i % 977]) % 1000003 }; puts s, h.values.sort.last(2)'` },
  { name: 'lua', script: `lua5.4 -e 'local t, s = {}, 0; for i = 1, 200000 do t[i] = (i * 7919) % 100003 end; table.sort(t); for i = 1, #t do s = (s * 33 + t[i]) % 1000000007 end; local p = {}; for i = 1, 60000 do p[#p + 1] = string.format("%x", i * i) end; print(s, #table.concat(p))'` },
  { name: 'gcc, 2 files', script: `for i in 1 2; do { for k in $(seq 1 12); do echo "#include <stdio.h>
struct s$k { int a; double b; char c[$k]; }; static int f$k(struct s$k *p, int n) { int r = $i; for (int i = 0; i < n; i++) { switch (p[i].a & 7) { case 0: r += i; break; case 3: r ^= p[i].c[0]; break; case 5: r *= 3; break; default: r -= (int)p[i].b; } } return r; }
int g$k(struct s$k *p) { char b[64]; snprintf(b, 64, \\"%d\\", f$k(p, 9)); return b[0] + f$k(p, 7); }"; done; } > m$i.c; gcc -O2 -c m$i.c; done; cat m?.o | sha256sum` },
  { name: 'sqlite', script: `sqlite3 :memory: 'create table t(a integer primary key, b integer, c text); with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000) insert into t select i, (i * 7919) % 10007, printf("row %d", i * 31) from n; create index tb on t(b); select sum(x.b), count(*), max(x.c) from t x join t y on y.b = x.a % 10007 where x.c like "%7%"; select b % 10, count(*), min(c) from t group by 1 order by 2 desc, 1 limit 3'` },
  { name: 'sort', script: 'LC_ALL=C sort -k1,1n numbers | sha256sum; LC_ALL=C.UTF-8 sort text | sha256sum' },
  { name: 'gzip', script: 'head -c 1500000 text | gzip -6 | tail -c +11 | sha256sum' },
  { name: 'xz', script: 'head -c 500000 text | xz -3 -T1 | sha256sum' },
  { name: 'zstd', script: 'zstd -q -9 -c --single-thread text | sha256sum' },
  { name: 'openssl digests', script: 'for d in sha256 sha512 sha1 md5; do cat text text text | openssl dgst -$d; done' },
  { name: 'git gc', script: 'export HOME=/tmp; rm -rf r; git init -q r; cd r; git config user.name a; git config user.email a@b; for i in 1 2 3 4; do for k in 1 2 3 4 5 6 7 8; do head -c $((20000 * k + 3000 * i)) ../text > f$k; done; git add .; GIT_AUTHOR_DATE=@1000 GIT_COMMITTER_DATE=@1000 git commit -q -m $i; done; git gc -q; git rev-parse HEAD; git count-objects' },
  { name: 'shell', script: 'i=0; s=0; while [ $i -lt 60000 ]; do i=$((i + 1)); s=$(( (s * 31 + i) % 65521 )); done; echo $s; for i in $(seq 1 60); do /bin/true; done' },
];

/** The guest's script for bash: \`> NAME\` before each program, \`= SUM MS\` behind: what it printed, and the guest's own clock. */
export function scriptOf(programs: readonly RealProgram[]): string {
  const parts = programs.map(({ name, script }) => `echo '> ${name}'; t=$(date +%s%N); sum=$( (${script}) 2>&1 | sha256sum); u=$(date +%s%N); echo "= \${sum%% *} $(( (u - t) / 1000000 ))"`);
  return `export LC_ALL=C.UTF-8 HOME=/tmp PATH=/usr/bin:/bin:/usr/sbin:/sbin\n${PREPARE}${parts.join('\n')}\necho '> end'\n`;
}
