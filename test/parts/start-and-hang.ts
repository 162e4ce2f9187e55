// Starts a part, tells its process id, and goes on until it is killed; run by parts.test.ts.
import { spawnPart } from './spawn-part.js';

const { pid } = await spawnPart({
  command: process.execPath,
  args: ['-e', 'setInterval(() => {}, 1000)'],
  isReady: () => Promise.resolve(true),
});
process.stdout.write(`${pid}\n`);
