// A script that starts a Temporal dev server as dev mode does, and stays: `npx tsx test/dev/temporal/holder.ts CLI`.
import { Endings } from '../../../src/dev/endings.js';
import { choosePort } from '../../../src/dev/loopback.js';
import { startTemporalServer } from '../../../src/dev/temporal/temporal-server.js';

const port = await choosePort(0, new Set());
const { address } = await startTemporalServer({
  cli: process.argv[2] ?? 'temporal',
  port,
  uiPort: await choosePort(0, new Set([port])),
  namespaces: ['default'],
  endings: new Endings(),
  signal: new AbortController().signal,
});
process.stdout.write(`serving ${address}\n`);
setInterval(() => undefined, 1_000);
