// `keyhole serve` but for its record, which goes nowhere: beside it is seen what the record costs.
import process from 'node:process';
import { assemble } from '../dist/config/assemble.js';
import { loadConfig } from '../dist/config/load-config.js';
import { createLog } from '../dist/config/logger.js';
import { createCodecServer } from '../dist/server/app.js';
import { createMetrics } from '../dist/server/telemetry/metrics.js';

const nothing = () => Promise.resolve();
const audit = {
  append: nothing,
  appendVisit: nothing,
  configured: nothing,
  reopen: nothing,
  close: nothing,
  refused: () => undefined,
};

const { config } = await loadConfig({ env: process.env, cwd: process.cwd() });
const { logger } = createLog(config.logLevel, 2);
const { assembled } = await assemble(config, { logger, metrics: createMetrics() });
await assembled.warm();
const { url } = await createCodecServer({ ...assembled.parts, audit }).listen();
process.stdout.write(`${JSON.stringify({ msg: 'listening', url })}\n`);
process.on('SIGTERM', () => process.exit(0));
