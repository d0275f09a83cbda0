/**
 * Programs of a Debian user land (test/support/guests/debian.ts), one table for every accelerator: each script's output in the
 * guest must be, byte by byte, what the same script prints natively, in the same root. So a script prints nothing that
 * depends on time, process numbers or addresses.
 */
export interface DebianCase {
  readonly name: string;
  /** For bash, in a writable root, as root, HOME=/root, current directory /. */
  readonly script: string;
  /** What a right answer has in it whatever the native run says: guards against two equal failures. */
  readonly expect: RegExp;
  /** Worth running with each number of vCPUs; the others run with one and with two. */
  readonly parallel?: boolean;
  /** Quick enough for KVM in the nested machine, where everything is emulated; on hardware all run. */
  readonly nested?: boolean;
  /** Seconds of the longest run on the software CPU, on a machine with other work; 120 when absent. */
  readonly limit?: number;
}

const C_PROGRAM = String.raw`
mkdir /tmp/prog && cd /tmp/prog
for i in $(seq 1 20); do cat >mod$i.c <<C
#include <stdio.h>
#include <string.h>
#include <math.h>
#include "all.h"
struct item$i { int key; double value; char name[16]; };
static int cmp(const void *a, const void *b) { return ((const struct item$i *)a)->key - ((const struct item$i *)b)->key; }
unsigned long mod$i(unsigned long seed) {
  struct item$i items[64];
  for (int k = 0; k < 64; k++) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul + $i;
    items[k].key = (int)(seed >> 33) % 1000;
    items[k].value = sqrt((double)(seed >> 40)) / $i;
    snprintf(items[k].name, sizeof items[k].name, "%d-%.3f", items[k].key, items[k].value);
  }
  qsort(items, 64, sizeof items[0], cmp);
  for (int k = 0; k < 64; k++) for (size_t c = 0; c < strlen(items[k].name); c++) seed = seed * 31 + items[k].name[c];
  return seed;
}
C
done
{ echo '#include <stdlib.h>'; for i in $(seq 1 20); do echo "unsigned long mod$i(unsigned long);"; done; } >all.h
{ echo '#include <stdio.h>'; echo '#include "all.h"'; echo 'int main(void) { unsigned long s = 1;'
  for i in $(seq 1 20); do echo "s = mod$i(s); printf(\"mod$i %lx\\n\", s);"; done; echo 'return 0; }'; } >main.c
{ printf 'prog:'; for i in main $(seq -f mod%g 1 20); do printf " $i.o"; done; printf '\n\tgcc -O2 -o $@ $^ -lm\n%%.o: %%.c all.h\n\tgcc -O2 -Wall -Werror -c -o $@ $<\n'; } >Makefile
make -s -j2 && ./prog && sha256sum *.o prog`;

/** Threads, signals, faults, timers and children; prints the same wherever it runs. */
export const THREADS_C = String.raw`
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#define THREADS 8
#define ROUNDS 20000
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long plain, turn;
static atomic_long relaxed;
static _Thread_local long mine;
static long own[THREADS];
static void *work(void *arg) {
  long id = (long)arg;
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < ROUNDS; i++) {
    atomic_fetch_add_explicit(&relaxed, 1, memory_order_relaxed);
    pthread_mutex_lock(&mutex);
    plain++;
    pthread_mutex_unlock(&mutex);
    mine++;
  }
  own[id] = mine;
  for (int i = 0; i < 50; i++) {
    pthread_mutex_lock(&mutex);
    while (turn % THREADS != id) pthread_cond_wait(&cond, &mutex);
    turn++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
  }
  return (void *)(id * id);
}
static sigjmp_buf env;
static volatile sig_atomic_t alarms, usr1, code;
static void *volatile fault;
static void on_segv(int sig, siginfo_t *info, void *context) {
  (void)context;
  code = info->si_code;
  fault = info->si_addr;
  siglongjmp(env, sig);
}
static void on_alarm(int sig) { (void)sig; alarms++; }
static void on_usr1(int sig) { (void)sig; usr1++; }
static void on_fpe(int sig, siginfo_t *info, void *context) { (void)context; code = info->si_code; siglongjmp(env, sig); }
int main(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
  long sum = 0;
  for (int i = 0; i < THREADS; i++) { void *r; pthread_join(threads[i], &r); sum += (long)r; }
  printf("threads: %ld %ld turn %ld joined %ld own", plain, atomic_load(&relaxed), turn, sum);
  for (int i = 0; i < THREADS; i++) printf(" %ld", own[i]);
  puts("");

  stack_t alt = { .ss_sp = malloc(65536), .ss_size = 65536 };
  sigaltstack(&alt, NULL);
  struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  sigaction(SIGSEGV, &sa, NULL);
  sigaction(SIGBUS, &sa, NULL);
  sa.sa_sigaction = on_fpe;
  sigaction(SIGFPE, &sa, NULL);
  sigaction(SIGILL, &sa, NULL);
  char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int sig = sigsetjmp(env, 1);
  if (sig == 0) page[5] = 1;
  printf("write to a read-only page: signal %d code %d offset %ld\n", sig, (int)code, (long)((char *)fault - page));
  mprotect(page, 8192, PROT_READ | PROT_WRITE);
  page[5] = 1;
  sig = sigsetjmp(env, 1);
  if (sig == 0) *(volatile int *)8 = 1;
  printf("null: signal %d code %d at %p\n", sig, (int)code, fault);
  sig = sigsetjmp(env, 1);
  volatile int zero = 0;
  if (sig == 0) zero = 7 / zero;
  printf("division: signal %d code %d\n", sig, (int)code);
  sig = sigsetjmp(env, 1);
  if (sig == 0) __asm__ volatile("ud2");
  printf("ud2: signal %d code %d\n", sig, (int)code);
  mprotect(page, 8192, PROT_READ | PROT_WRITE);
  memset(page, 0xc3, 16);
  sig = sigsetjmp(env, 1);
  if (sig == 0) ((void (*)(void))page)();
  printf("no-execute: signal %d code %d offset %ld\n", sig, (int)code, (long)((char *)fault - page));
  mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  ((void (*)(void))page)();

  signal(SIGALRM, on_alarm);
  struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
  setitimer(ITIMER_REAL, &every, NULL);
  while (alarms < 20) pause();
  memset(&every, 0, sizeof every);
  setitimer(ITIMER_REAL, &every, NULL);
  puts("20 alarms came");

  signal(SIGUSR1, on_usr1);
  int pipes[2];
  if (pipe(pipes)) return 1;
  atomic_int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 10; i++) if (fork() == 0) {
    for (int k = 0; k < 1000; k++) atomic_fetch_add(shared, 1);
    kill(getppid(), SIGUSR1);
    if (write(pipes[1], "x", 1) != 1) _exit(1);
    if (i == 3) abort();
    _exit(i);
  }
  int exits = 0, aborted = 0, status, bytes = 0;
  for (;;) {
    int pid = wait(&status);
    if (pid < 0) { if (errno == EINTR) continue; break; }
    if (WIFEXITED(status)) exits += WEXITSTATUS(status);
    else if (WTERMSIG(status) == SIGABRT) aborted++;
  }
  close(pipes[1]);
  char c;
  while (read(pipes[0], &c, 1) == 1) bytes++;
  printf("children: %d exits, %d aborted, %d bytes, shared %d, signalled %s\n", exits, aborted, bytes, atomic_load(shared), usr1 > 0 ? "yes" : "no");
  return 0;
}`;

/** A C source as a file of the guest. */
const cFile = (path: string, text: string): string => `cat >${path} <<'END_OF_SOURCE'\n${text}\nEND_OF_SOURCE\n`;

export const DEBIAN_CASES: readonly DebianCase[] = [
  {
    name: 'bash: arithmetic, arrays, traps, regular expressions, substitutions, pipes and job control',
    script: String.raw`
set -u
trap 'echo trap EXIT' EXIT; trap 'echo got USR1' USR1
declare -A map=([one]=1 [two]=2 [three]=3); list=(a "b c" d)
echo "$((2**62 + 17 * -3)) $((0x1f ^ 07)) ${"$"}{#list[@]} ${"$"}{list[1]^^} $(for k in "${"$"}{!map[@]}"; do echo "$k=${"$"}{map[$k]}"; done | sort | tr '\n' ,)"
[[ "2026-11-24" =~ ^([0-9]+)-([0-9]+)-([0-9]+)$ ]] && echo "${"$"}{BASH_REMATCH[3]}.${"$"}{BASH_REMATCH[2]}.${"$"}{BASH_REMATCH[1]}"
diff <(printf '1\n2\n3\n') <(printf '1\n3\n'); kill -USR1 $$
fib() { local n=$1; (( n < 2 )) && { echo "$n"; return; }; echo $(( $(fib $((n-1))) + $(fib $((n-2))) )); }; fib 9
ps=; for i in 1 2 3; do (exit "$i") & ps="$ps $!"; done; s=0; for p in $ps; do wait "$p" || s=$((s + $?)); done; echo "statuses $s"
printf '%05d|%-6s|%x|%.10f|%e\n' 42 ab 255 3.14159265358979 12345.678; printf '%q\n' "a'b \$c"
coproc cat; echo through the coprocess >&"${"$"}{COPROC[1]}"; read -r line <&"${"$"}{COPROC[0]}"; echo "$line"
ulimit -c 0; bash -c 'kill -SEGV $$' 2>/dev/null; echo "status $?"`,
    expect: /^4611686018427387853 24 3 B C one=1,three=3,two=2,\n24\.11\.2026\n2d1\n< 2\ngot USR1\n34\nstatuses 6\n[\s\S]*status 139\ntrap EXIT\n$/,
    nested: true,
  },
  {
    name: 'coreutils, findutils, sed, awk, tar, gzip: digests, sorts, numbers, dates, trees',
    script: String.raw`
cd /tmp; seq 1 20000 | awk '{ print ($1 * 7919) % 10007, $1, sqrt($1) }' >data
sort -k1,1n -k2,2nr data | md5sum; sort -R --random-source=/etc/login.defs data | sha1sum; shuf --random-source=data -i 1-1000 | sha256sum
cut -d' ' -f1 data | sort -n | uniq -c | sort -rn | head -2; sha512sum data; b2sum data; cksum data; sum -s data; od -A d -t x8z data | tail -2
factor 1000000016000000063 18446744073709551617; numfmt --to=iec 123456789 9999; expr 6 \* 7
base64 data | tr -d '\n' | rev | fold -w 71 | md5sum; split -n 7 data part. && cat part.* | cmp - data && wc part.*; join <(sort data) <(sort data) | wc -l
TZ=Europe/Berlin date -d @1700000000 '+%F %T %j %U'; LC_ALL=C.UTF-8 printf '%s\n' ü | wc -m; sed -n '1~4000{s/\([0-9]*\) /[\1]/gp}' data
find /usr/share/doc -name copyright | sort | xargs cat | md5sum; tar -cf - --sort=name --mtime=@0 /usr/share/perl5 2>/dev/null | gzip -9n | sha256sum; gzip -c data | zcat | cmp - data
mkdir -p t/a/b && ln -s a t/l && ln data t/h && cp -a t u && diff -r t u && stat -c '%A %h %s %F' t/h t/l t/a; truncate -s 5G big; stat -c '%s' big; rm -r t u; df --output=target / | tail -1`,
    expect: /1000000016000000063: 1000000007 1000000009\n[\s\S]*118M\n[\s\S]*2023-11-14 23:13:20 318 46\n2\n/,
    limit: 240,
  },
  {
    name: 'apt and dpkg: version, a package is built, installed offline, run, and removed',
    script: String.raw`
apt-get --version | head -1; cd /tmp; mkdir -p p/DEBIAN p/usr/bin
printf 'Package: vmm-test\nVersion: 1.2-3\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDepends: bash (>= 5)\nDescription: test\n' >p/DEBIAN/control
printf '#!/bin/sh\necho configured "$1" "$2"\n' >p/DEBIAN/postinst; printf '#!/bin/sh\necho it runs\n' >p/usr/bin/vmm-test; chmod 755 p/DEBIAN/postinst p/usr/bin/vmm-test
SOURCE_DATE_EPOCH=1600000000 dpkg-deb --root-owner-group -b p . && apt-get install -y ./vmm-test_1.2-3_all.deb 2>&1 | grep -v -e '^(Reading' -e '^Reading' -e '^Building' -e debconf -e sandboxed
vmm-test; dpkg-query -W vmm-test; dpkg -V coreutils bash && echo verified; dpkg -r vmm-test | grep -v Reading; hash -r; command -v vmm-test || echo gone; apt-cache policy bash | head -2`,
    expect: /^apt 2\.6[\s\S]*configured configure\s[\s\S]*it runs\nvmm-test\t1\.2-3\nverified\n[\s\S]*gone\n/,
    limit: 240,
    nested: true,
  },
  {
    name: 'Perl: numbers, regular expressions, sorting, big integers, digests, unpack',
    script: String.raw`perl -MMath::BigInt -MDigest::SHA=sha256_hex -MPOSIX=floor,fmod,strtod -MData::Dumper -MStorable=freeze,thaw -e '
$Data::Dumper::Sortkeys = 1; $, = " "; $\ = "\n";
print 1/3, 2**0.5, exp(1), atan2(1,1)*4, sin(1e6), log(10), 1e308*10, -9**0.5, int(-7.5), 7 % -3, floor(-0.5), fmod(10, 3.3);
print Math::BigInt->new(2)->bpow(521)->bsub(1), Math::BigInt->new(100)->bfac;
my %h; $h{lc $1}++ while "The quick brown fox; the lazy dog. THE END" =~ /(\w+)/g; print map { "$_=$h{$_}" } sort { $h{$b} <=> $h{$a} || $a cmp $b } keys %h;
print sha256_hex(join ",", map { sprintf "%.17g", sin($_) * $_ } 1..5000);
print unpack("H*", pack("d<f>q<w", 3.14, -2.5, -99, 300)), sprintf("%b %o %X %s %.3e", 1234, 1234, 48879, 1e21, 1234.5678);
my @s = sort { $a <=> $b } map { ($_ * 7919) % 10007 } 1..10000; print "@s[0..5] $s[-1]";
(my $t = "a1b22c333") =~ s/(\d+)/<@{[$1*2]}>/g; print $t; print Dumper(thaw(freeze({ a => [1, 2.5, "x"], b => { c => undef } })));
print join ",", map { join "", sort split // } grep { /^(?=.*a)(?!.*z).{4}$/ } qw(abcd zzza bada cafe); local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; 1 while 1; }; print $@;
print length(join "", map { chr } 1..2000), "\x{263a}" =~ /\p{So}/ ? "symbol" : "no"; my $pid = fork; if (!$pid) { exit 7 } waitpid $pid, 0; print $? >> 8;'`,
    expect: /^0\.333333333333333 1\.4142135623731 2\.71828182845905 3\.14159265358979[\s\S]*alarm[\s\S]*symbol\n7\n$/,
  },
  {
    name: 'Python: its own tests of math, float, struct, re and json',
    script: `
python3 -c 'import sys, decimal, hashlib, fractions; print(sys.version.split()[0], 0.1 + 0.2, decimal.Decimal(2).sqrt(), fractions.Fraction(0.1), 2**200 % 977, hashlib.sha3_256(b"x").hexdigest())'
cd /tmp; python3 -W ignore -m test -u none test_math test_float test_struct test_re test_json 2>&1 | sed -e 's/^[0-9:]* load avg: [0-9.]* //' -e 's/ -- .*//' | grep -v -e ^Total -e duration -e " passed in " -e '^ *$'`,
    expect: /0\.30000000000000004 1\.414213562373095048801688724[\s\S]*All 5 tests OK\.[\s\S]*SUCCESS/,
    limit: 900,
  },
  {
    name: 'Python: its own test of struct',
    script: "cd /tmp; python3 -m test -u none test_struct 2>&1 | grep -e OK -e SUCCESS",
    expect: /1 test OK\.\n[\s\S]*SUCCESS/,
    nested: true,
  },
  {
    name: 'gcc compiles, links and runs a small program',
    script: `printf '#include <stdio.h>\\n#include <math.h>\\nint main(int c, char **v) { printf("%%.17g %%s\\\\n", sqrt(c + 1.0), v[c - 1]); return 3; }\\n' >/tmp/a.c; gcc -O2 -o /tmp/a /tmp/a.c -lm && /tmp/a x y; echo "status $?"; size /tmp/a`,
    expect: /^2 y\nstatus 3\n/,
    nested: true,
  },
  {
    name: 'gcc builds a program of 20 files; the objects and its output are the same bytes',
    script: C_PROGRAM,
    expect: /mod20 [0-9a-f]+\n[\s\S]* prog\n$/,
    limit: 600,
  },
  {
    name: 'git: init, commits, branch and merge, log, clone, gc, fsck; the same commit ids',
    script: `
cd /tmp; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b main r && cd r; for i in $(seq 1 15); do seq "$i" 300 >"file$i"; echo "$i" >>log; git add .; git commit -q -m "commit $i"; done
git checkout -q -b side HEAD~5; echo side >side; git add side; git commit -q -m side; git checkout -q main; git merge -q -m merge side
git log --oneline --graph | head -8; git rev-parse HEAD HEAD^{tree}; git diff --stat HEAD~3 | tail -1; cd ..; git clone -q --no-local r s; cd s; git gc -q --aggressive; git fsck --full --strict; git log -p | sha256sum; git blame -s log | tail -1; git -C ../r status --short; git bundle create -q ../b --all; git bundle verify -q ../b && echo bundle ok`,
    expect: /commit 15[\s\S]*\n[0-9a-f]{40}\n[0-9a-f]{40}\n[\s\S]*bundle ok\n$/,
    limit: 240,
  },
  {
    name: 'SQLite: insert, index, join, window, JSON, journal modes, integrity_check',
    script: `
cd /tmp; sqlite3 t.db <<'SQL'
PRAGMA journal_mode=WAL;
CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, v REAL, s TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, (i * 7919) % 1009, i / 7.0, printf('%08x-%.5f', i * 2654435761 % 4294967296, i / 3.0) FROM n;
CREATE INDEX tk ON t(k, s); BEGIN; UPDATE t SET v = v * 1.1 WHERE k < 100; DELETE FROM t WHERE k > 990; ROLLBACK; UPDATE t SET v = -v WHERE id % 17 = 0;
SELECT count(*), sum(k), round(avg(v), 9), min(s), max(s) FROM t; SELECT k, count(*) c FROM t GROUP BY k ORDER BY c DESC, k LIMIT 3;
SELECT a.id, b.id FROM t a JOIN t b ON a.k = b.k AND a.id < b.id ORDER BY a.s, b.s LIMIT 3;
SELECT id, rank() OVER (PARTITION BY k % 3 ORDER BY v DESC) r FROM t ORDER BY id LIMIT 3; SELECT json_group_array(json_object('k', k)) FROM (SELECT DISTINCT k FROM t ORDER BY k LIMIT 3);
PRAGMA integrity_check; PRAGMA journal_mode=DELETE; VACUUM; PRAGMA page_count;
SQL
sqlite3 t.db .dump | sha256sum`,
    expect: /^wal\n20000\|[\s\S]*\nok\ndelete\n\d+\n[0-9a-f]{64}/,
    limit: 240,
  },
  {
    name: 'nginx serves files to wget over the loopback, whole, in ranges and in parallel',
    script: `
cat >/tmp/n.conf <<'CONF'
worker_processes 2; pid /tmp/n.pid; error_log /tmp/n.err; events { worker_connections 64; }
http { access_log off; default_type text/plain; gzip on; gzip_min_length 10; gzip_types text/plain; server { listen 127.0.0.1:8080; listen unix:/tmp/n.sock; root /tmp/www; location /r { return 302 /big; } } }
CONF
mkdir -p /tmp/www; seq 1 300000 >/tmp/www/big; echo hello >/tmp/www/small; chmod -R a+rX /tmp/www; nginx -c /tmp/n.conf -t 2>&1 | tail -1; nginx -c /tmp/n.conf
wget -qO- http://127.0.0.1:8080/small; wget -qO- http://127.0.0.1:8080/r | sha256sum; wget -qO- --start-pos=1988880 http://127.0.0.1:8080/big
wget -qO- --header 'Accept-Encoding: gzip' http://127.0.0.1:8080/big | zcat | sha256sum; wget -qO- http://127.0.0.1:8080/none; echo "status $?"
for i in $(seq 1 12); do wget -qO- http://127.0.0.1:8080/big | md5sum & done | sort | uniq -c; wait; sha256sum </tmp/www/big; nginx -c /tmp/n.conf -s stop; cat /tmp/n.err | grep -c emerg`,
    expect: /successful\nhello\n[\s\S]*status 8\n +12 [0-9a-f]{32}/,
    parallel: true,
    limit: 240,
  },
  {
    name: 'Node: hot JavaScript in its JIT, typed arrays, BigInt, regular expressions, WebAssembly, workers, crypto, zlib',
    script: String.raw`cat >/tmp/n.mjs <<'JS'
import { createHash, createHmac, createCipheriv, pbkdf2Sync } from 'node:crypto';
import { gzipSync, gunzipSync, brotliCompressSync } from 'node:zlib';
import { Worker } from 'node:worker_threads';
function ints(n) { let a = 1, b = 0; for (let i = 0; i < n; i++) { a = (Math.imul(a, 1664525) + 1013904223) | 0; b ^= a >>> (i & 31); } return [a, b]; }
function floats(n) { let s = 0; for (let i = 1; i <= n; i++) s += Math.sin(i) * Math.sqrt(i) / (1 + Math.cos(i * 0.5) ** 2); return s; }
function sieve(n) { const a = new Uint8Array(n + 1); let c = 0; for (let i = 2; i <= n; i++) { if (a[i]) continue; c++; for (let j = i * i; j <= n; j += i) a[j] = 1; } return c; }
class V { constructor(x, y) { this.x = x; this.y = y; } add(o) { return new V(this.x + o.x, this.y - o.y); } }
function objects(n) { let v = new V(0, 0); const m = new Map(); for (let i = 0; i < n; i++) { v = v.add(new V(i, i * 0.5)); m.set('k' + i % 977, v); } return [v.x, v.y, m.size, [...m.keys()].sort().slice(0, 3).join()]; }
function deopt(x) { return x + x; }
for (let i = 0; i < 200000; i++) deopt(i); 
console.log(ints(3e6), floats(3e5), sieve(5e5), objects(2e5), deopt('s'), deopt(0.1), deopt(2n ** 70n));
let s = ''; for (let i = 0; i < 50000; i++) s += i.toString(36); console.log(s.length, s.replace(/(\d+)([a-z])/g, '$2$1').match(/z[a-f]+\d/g).length, createHash('sha256').update(s).digest('hex'));
let f = 1n; for (let i = 1n; i <= 300n; i++) f *= i; console.log(f.toString().length, f % 1000000007n, BigInt.asIntN(64, f >> 100n));
const sorted = Float64Array.from({ length: 50000 }, (_, i) => Math.sin(i * i)).sort(); console.log(sorted[0], sorted[25000], sorted[49999]);
const wasm = new WebAssembly.Module(Uint8Array.from([0,97,115,109,1,0,0,0,1,6,1,96,1,127,1,126,3,2,1,0,7,5,1,1,102,0,0,10,34,1,32,1,1,126,66,1,33,1,3,64,32,1,66,3,126,66,1,124,33,1,32,0,65,1,107,34,0,13,0,11,32,1,11]));
console.log(new WebAssembly.Instance(wasm).exports.f(1000000));
const text = JSON.stringify(Array.from({ length: 3000 }, (_, i) => ({ i, v: i / 7, t: 'x'.repeat(i % 13) }))); const back = JSON.parse(gunzipSync(gzipSync(text)));
console.log(back.length, back[2999].v, brotliCompressSync(text, {}).length > 100, createHmac('sha512', 'k').update(text).digest('base64'), pbkdf2Sync('p', 's', 1000, 16, 'sha1').toString('hex'));
const c = createCipheriv('aes-256-gcm', Buffer.alloc(32, 1), Buffer.alloc(12, 2)); console.log(createHash('md5').update(c.update(text)).update(c.final()).update(c.getAuthTag()).digest('hex'));
const shared = new Int32Array(new SharedArrayBuffer(16)); await Promise.all(Array.from({ length: 3 }, () => new Promise((done) => new Worker('const { workerData: a } = require("worker_threads"); for (let i = 0; i < 100000; i++) Atomics.add(a, 0, 1); Atomics.add(a, 1, 1); Atomics.notify(a, 1);', { eval: true, workerData: shared }).on('exit', done)))); console.log(shared[0], shared[1]);
console.log(await new Promise((done) => setTimeout(() => done('timer'), 20)), new Intl.NumberFormat('de-DE', { style: 'currency', currency: 'EUR' }).format(1234567.891), new Date(1.7e12).toISOString(), (0.1).toFixed(20), 5e-324, (123.456).toString(7), parseFloat('1e-7'), Math.hypot(3, 4), Math.expm1(1e-10), Math.fround(5.05));
JS
node --version; node /tmp/n.mjs`,
    expect: /^v18[\s\S]*sieve|300000 3\ntimer 1\.234\.567,89/,
    parallel: true,
    limit: 600,
  },
  {
    name: 'a Go program (fzf) and a Rust program (ripgrep) over a tree of files',
    script: String.raw`
cd /usr/share; find perl5 doc -type f | sort >/tmp/files; fzf --filter='copyright perl' </tmp/files | head -5; fzf --filter="'apt !doc | git" </tmp/files | sort | md5sum; fzf --version
rg --version | head -1; rg -j4 --sort path -c 'sub\s+\w+\s*\{' perl5 | md5sum; rg -j4 -i --no-heading 'copyright .*\b(19|20)\d\d\b' doc | sort | sha256sum; rg --sort path -n -o -r '$2-$1' '(\w+)::(\w+)' perl5/Debconf | head -3; rg -F -l 'no such string anywhere' perl5; echo "status $?"`,
    expect: /^doc\/[\s\S]*ripgrep 13[\s\S]*status 1\n$/,
    parallel: true,
    limit: 240,
  },
  {
    name: 'threads, signals, faults, timers and children: glibc',
    script: `${cFile('/tmp/t.c', THREADS_C)}gcc -O2 -pthread -o /tmp/t /tmp/t.c && /tmp/t`,
    expect: /^threads: 160000 160000 turn 400 joined 140[\s\S]*children: 42 exits, 1 aborted, 10 bytes, shared 10000, signalled yes\n$/,
    parallel: true,
    limit: 240,
    nested: true,
  },
  {
    name: 'threads, signals, faults, timers and children: musl, static',
    script: `${cFile('/tmp/t.c', THREADS_C)}musl-gcc -O2 -static -o /tmp/t /tmp/t.c && /tmp/t && ldd /tmp/t 2>&1 | tail -1`,
    expect: /^threads: 160000 160000 turn 400 joined 140[\s\S]*children: 42 exits, 1 aborted, 10 bytes, shared 10000, signalled yes\n/,
    parallel: true,
    limit: 240,
  },
  {
    name: '200 processes at a time, each with a pipe to the same reader',
    script: String.raw`
mkfifo /tmp/go; exec 9<>/tmp/go; for i in $(seq 1 200); do (read -r -n1 <&9; echo "$i $((i * i))") & done >/tmp/out
while [ "$(pgrep -c -P $$ bash)" -lt 200 ]; do sleep 0.1; done; echo "there are $(pgrep -c -P $$ bash)"; head -c 200 /dev/zero | tr '\0' x >&9; wait; wc -l </tmp/out; sort -n /tmp/out | md5sum`,
    expect: /^there are 200\n200\n/,
    parallel: true,
    limit: 240,
    nested: true,
  },
];
