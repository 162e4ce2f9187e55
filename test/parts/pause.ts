// Stops a process until it is told to go on: when this resolves, none of its threads runs any more.
import { readdir, readFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';

/** Goes on with `process.kill(pid, 'SIGCONT')`. */
export async function pauseProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  while (process.platform === 'linux' && !(await isStopped(pid))) await turn();
}

/** proc_pid_stat(5): the state follows the name, which stands in parentheses. */
async function isStopped(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`;
  const read = (await readdir(tasks)).map((task) =>
    readFile(`${tasks}/${task}/stat`, 'utf8').catch(() => ''),
  );
  return (await Promise.all(read)).every((stat) => stat === '' || stat.includes(') T '));
}
