// `keyhole dev` without a Temporal server, as a person interrupts it, and with roles that are not the usual ones.
import { createServer } from 'node:net';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { runDev, type DevOptions } from '../../src/dev/dev.js';
import { listen, portOf } from '../../src/dev/loopback.js';
import { installLine, missingOf } from '../../src/dev/optional-package.js';
import { ALICE, ORDERS, RITA } from '../../src/dev/people.js';
import { keepStream } from '../streams.js';
import { FREE_PORTS, startScript } from './dev-process.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Keeps what is written; `told` hears each piece. */
function screen(told: (text: string) => void = () => undefined) {
  const pieces: string[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      pieces.push(chunk.toString());
      keepStream('dev', chunk);
      told(chunk.toString());
      done();
    },
  });
  return { stream, text: () => pieces.join('') };
}

/** Runs dev mode on a machine without a Temporal CLI and without a way to fetch one. */
async function runWithout(options: Partial<DevOptions> = {}, told?: (text: string) => void): Promise<Run> {
  const [stdout, stderr] = [screen(told), screen(told)];
  const nowhere = { PATH: '/nowhere', HOME: '/nowhere', XDG_CACHE_HOME: '/nowhere' };
  const code = await runDev({
    once: true,
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: nowhere,
    ports: FREE_PORTS,
    fetch: () => Promise.reject(new TypeError('fetch failed')),
    ...options,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

describe('dev mode without a Temporal CLI', () => {
  test('says so in one sentence, and tells the same story with payloads that the codec server sealed', async () => {
    const { code, stdout, stderr } = await runWithout();
    expect(stderr).toMatch(/! Temporal server +no Temporal CLI was found .*docs\.temporal\.io\/cli.*\n/);
    expect(stderr).toContain('sample payloads     sealed by the codec server, as alice asked');
    expect(stdout).toContain('All 11 answers are as they should be.');
    expect(stdout).toMatch(/alice +admin +orders\.a1b2c +a script +200 +"Hello, Temporal", why the payment/);
    expect(stdout).toMatch(/rita +read +orders\.a1b2c +a script +403 +nothing: role_missing/);
    expect(stdout).toMatch(/sam +none +orders\.a1b2c +the Web UI +200 +notice: to decode in orders\.a1b2c/);
    expect(stdout).toMatch(/nobody +none +orders\.a1b2c +a script +401 +nothing: token_missing/);
    expect(code).toBe(0);
  });
});

describe('dev mode with other roles than the usual', () => {
  test('ends with 1, and the row says what was expected', async () => {
    const people = {
      [ALICE.email]: ['namespace:admin@orders.a1b2c', 'namespace:write@billing.a1b2c'],
      [RITA.email]: [`namespace:admin@${ORDERS}`],
    };
    const { code, stdout } = await runWithout({ people });
    expect(stdout).toMatch(
      /rita +read +orders\.a1b2c +a script +200 .*1 MB of input — expected role_missing with 403/,
    );
    expect(stdout).toMatch(/rita +read +orders\.a1b2c +the Web UI +200 .* — expected notice with 200/);
    expect(stdout).toContain('2 of 11 answers are not as they should be.');
    expect(code).toBe(1);
  });

  test('ends with 1 where nothing could be asked', async () => {
    const { code, stdout, stderr } = await runWithout({ people: {} });
    expect(stderr).toContain('keyhole dev cannot go on: the codec server did not seal for alice@example.com');
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });
});

describe('a port that is taken', () => {
  const squatter = createServer();
  afterAll(() => new Promise((resolve) => squatter.close(resolve)));

  test('is told with what to do, and another one is used', async () => {
    await listen(squatter, 0, '127.0.0.1');
    const taken = portOf(squatter);
    const { code, stderr } = await runWithout({ ports: { ...FREE_PORTS, codec: taken } });
    expect(stderr).toMatch(
      new RegExp(
        `! port ${taken} +in use: the codec server takes \\d+ instead \\(to have ${taken}, end what \`lsof`,
      ),
    );
    expect(stderr).not.toContain(`https://localhost:${taken}\n`);
    expect(code).toBe(0);
  });
});

describe('dev mode that is interrupted', () => {
  test.each([
    [true, 1],
    [false, 0],
  ])('while it starts (--once: %s) ends with %i and leaves no files', async (once, expected) => {
    const directory = mkdtempSync(join(tmpdir(), 'keyhole-interrupted-'));
    vi.stubEnv('TMPDIR', directory);
    const stop = new AbortController();
    const { code, stdout, stderr } = await runWithout({ once, signal: stop.signal }, (text) => {
      if (text.includes('codec server')) stop.abort();
    });
    expect(stderr).toMatch(/ending what was started …\n$/);
    expect(stdout).toBe('');
    expect(code).toBe(expected);
    rmdirSync(directory); // throws for one that is not empty
  });

  test('a second time ends at once, whatever does not want to end', async () => {
    const script = startScript(fileURLToPath(new URL('stubborn.ts', import.meta.url)), []);
    await script.until('ready');
    script.child.kill('SIGINT');
    script.child.kill('SIGTERM'); // passed on by a parent: the same interruption
    await script.until('ending');
    await script.until('still here');
    const again = setInterval(() => script.child.kill('SIGINT'), 20);
    const code = await script.ended;
    clearInterval(again);
    expect([code, script.said()]).toEqual([1, expect.stringMatching(/ended at once\n$/)]);
  });
});

describe('packages that are missing', () => {
  test('are told with the line that installs them', () => {
    const resolve = (name: string) => {
      if (name.startsWith('o')) throw new Error(`cannot find ${name}`);
      return name;
    };
    const missing = missingOf(
      { 'oidc-provider': '^9', 'openid-client': '^6', '@peculiar/x509': '^2' },
      resolve,
    );
    expect(installLine(missing)).toBe("npm install --save-dev 'oidc-provider@^9' 'openid-client@^6'");
  });
});
