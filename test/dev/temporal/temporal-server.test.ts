// The Temporal dev server of dev mode does not outlive it, and tells why it does not start.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { Endings } from '../../../src/dev/endings.js';
import { choosePort, isFree, portOf } from '../../../src/dev/loopback.js';
import { startTemporalServer } from '../../../src/dev/temporal/temporal-server.js';
import { describeWithParts } from '../../parts/available.js';
import { startScript } from '../dev-process.js';

const rest = { namespaces: ['default'], endings: new Endings(), signal: new AbortController().signal };
const directory = mkdtempSync(join(tmpdir(), 'keyhole-temporal-'));
afterAll(async () => {
  await rest.endings.run();
  rmSync(directory, { recursive: true });
});

describeWithParts(['temporal'], 'the Temporal dev server of dev mode', ({ temporal }) => {
  test('ends when dev mode is killed outright', async () => {
    const silent = join(directory, 'temporal'); // one that could not die of a closed pipe
    writeFileSync(silent, `#!/bin/sh\nexec '${temporal}' "$@" >/dev/null 2>&1\n`, { mode: 0o755 });
    const holder = startScript(fileURLToPath(new URL('holder.ts', import.meta.url)), [silent]);
    await holder.until('serving ');
    const port = Number(/serving 127\.0\.0\.1:(\d+)/.exec(holder.said())?.[1]);
    expect(await isFree(port)).toBe(false);
    holder.child.kill('SIGKILL');
    expect(await holder.ended).toBe('SIGKILL');
    await expect.poll(() => isFree(port), { timeout: 10_000 }).toBe(true);
  });

  test('that does not start says why, in its own words', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const port = portOf(squatter);
    const started = startTemporalServer({
      ...rest,
      cli: temporal,
      port,
      uiPort: await choosePort(0, new Set([port])),
    });
    await expect(started).rejects.toThrow(/^the Temporal dev server ended: .*already in use/);
    squatter.close();
  });

  test('that is not there is told as well', async () => {
    const started = startTemporalServer({ ...rest, cli: '/nowhere/temporal', port: 1, uiPort: 1 });
    await expect(started).rejects.toThrow(/^the Temporal dev server ended: .*not found/);
  });
});
