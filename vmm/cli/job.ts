/** This process as a job of the user's shell (POSIX, job control): to the background without a daemon. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * For each line that comes: waits until process $1 is stopped and its terminal belongs to another process group, that is, the
 * shell has seen the stop and is at its prompt; then lets the group of $1 go on. Where no shell with job control is, it does so
 * after two seconds. It ends with its input, which is this process's end.
 */
const WAKER = `
while read -r go; do
  tries=0
  while [ $tries -lt 40 ] && read -r line 2>/dev/null </proc/$1/stat; do
    set -- "$1" \${line##*) }
    [ "$2" = T ] && [ "$7" != "$4" ] && break
    tries=$((tries + 1))
    sleep 0.05
  done
  kill -s CONT -- "-$4"
done
`;

/**
 * Gives what stops this process's group, as Ctrl-Z does, so that the shell takes the terminal back, and continues it in the
 * background. A process stops with all its threads, so another process has to wake it: it is started here, since the confined
 * process of a running guest starts none.
 */
export function backgroundJob(): () => void {
  const waker = spawn('/bin/sh', ['-c', WAKER, 'sh', `${process.pid}`], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  // Without a shell the process stays where it is: in the foreground, its terminal restored.
  waker.on('error', () => {});
  waker.stdin.on('error', () => {});
  waker.unref();
  (waker.stdin as Socket).unref();
  return () => waker.stdin.write('\n', (error) => {
    if (!error) process.kill(0, 'SIGTSTP');
  });
}

/** Whether this process may read its terminal: proc(5), stat, fields pgrp and tpgid. */
export function isForeground(): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
