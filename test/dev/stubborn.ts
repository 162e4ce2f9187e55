// A script whose ending never ends: `npx tsx test/dev/stubborn.ts`.
import { aborted, Endings, listenForStop } from '../../src/dev/endings.js';

const endings = new Endings();
endings.add(
  () => new Promise(() => undefined),
  () => {
    process.stdout.write('ended at once\n');
  },
);
const { signal } = listenForStop();
process.on('SIGTERM', () => {
  process.stdout.write('still here\n'); // comes after the listener of listenForStop
});
process.stdout.write('ready\n');
await aborted(signal);
process.stdout.write('ending\n');
setInterval(() => undefined, 1_000);
await endings.run();
