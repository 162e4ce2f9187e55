// Who reads a workflow, and who no longer does: programs with a credential, and people whose role is taken away meanwhile.
import type { Payload } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity/identity-provider.js';
import { run } from '../cli/command.js';
import { describeWithParts } from '../parts/available.js';
import type { CloudPerson } from '../parts/cloud-operations.js';
import type { Stoppable } from '../parts/spawn-part.js';
import { startTemporalServer, type CliAnswer, type TemporalServer } from '../parts/temporal-server.js';
import { bodyOf } from '../server/running-server.js';
import { keepStream, plantSecret } from '../streams.js';
import { openSite, planted, type Site } from '../temporal/sealed-worker.js';
import * as workflows from '../temporal/workflows.js';
import { accessBy } from './issuer-of-our-own.js';
import type { Answer, Keyhole } from './keyhole-process.js';
import { BILLING, configure, layGround, ORDERS, sealedBy, textsOf, type Ground } from './system.js';
import { planted as plantedToken } from './token-issuer.js';

const ALICE = { email: 'alice@example.com', name: 'Alice, an admin' };
const BOB = { email: 'bob@example.com', name: 'Bob, an admin for now' };
const admin = ({ email }: { readonly email: string }): CloudPerson => ({
  email,
  namespaces: { [ORDERS]: 'admin' },
});

describeWithParts(['temporal', 'moto'], 'a sealed workflow is read', () => {
  const stops: Stoppable[] = [];
  const text = planted('who-reads');
  const credentials: object[] = [];
  const secrets: Record<string, string> = {};
  let ground: Ground;
  let provider: IdentityProvider;
  let temporal: TemporalServer;
  let keyhole: Keyhole;
  let site: Site;
  let handle: WorkflowHandle;
  let sealed: Payload[];

  function keep<T extends Stoppable>(part: T): T {
    stops.push(part);
    return part;
  }

  /** As an operator does: the secret is for the program, the entry for the configuration. */
  async function createCredential(name: string, role: string): Promise<void> {
    const args = ['credential', 'create', name, '--role', role, '--expires', '2999-12-31'];
    const { code, stdout, stderr } = await run(args, { cwd: ground.directory, showsSecret: true });
    expect(code).toBe(0);
    secrets[name] = plantSecret(stdout.trim());
    credentials.push(...(parse(stderr.split('\n')[1] ?? '') as object[]));
  }

  const configuration = (freshSeconds: number): object => {
    const access = accessBy(Number(new URL(provider.issuer).port), ground);
    const roles = { ca: ground.caFile, freshSeconds, staleSeconds: 300 };
    return { access: { ...access, roles, credentials } };
  };

  beforeAll(async () => {
    ground = keep(await layGround([admin(ALICE), admin(BOB)]));
    const { certificates } = ground;
    const audience = 'keyhole';
    provider = keep(
      await startIdentityProvider({ certificates, people: [ALICE, BOB], clients: [], audience }),
    );
    temporal = keep(await startTemporalServer({ namespaces: [ORDERS, BILLING] }));
    await createCredential('ci', `namespace:admin@${ORDERS}`);
    await createCredential('billing', `namespace:admin@${BILLING}`);
    await createCredential('last-year', `namespace:admin@${ORDERS}`);
    credentials.push({ ...credentials.pop(), expires: '2020-12-31' });
    keyhole = await ground.serve({ configuration: configuration(1) });
    site = await openSite(temporal.address, ORDERS, ground.codec());
    keep({ stop: () => site.close() });
    handle = await site.withWorker(async () => {
      const options = { taskQueue: site.taskQueue, workflowId: 'who-reads', args: [text] as [string] };
      const started = await site.client.workflow.start(workflows.echo, options);
      await started.result();
      return started;
    });
    sealed = await sealedBy(ground.codec(), ORDERS, text);
  });
  afterAll(async () => {
    for (const part of stops.reverse()) await part.stop();
  });

  function show(authorization: string, ...more: string[]): Promise<CliAnswer> {
    const codec = ['--codec-endpoint', keyhole.url, '--codec-auth', authorization];
    const args = ['workflow', 'show', '-n', ORDERS, '-w', handle.workflowId, ...codec, ...more];
    return temporal.cli(args, { SSL_CERT_FILE: ground.caFile });
  }

  async function tokenOf({ email }: { readonly email: string }): Promise<string> {
    return plantedToken(await provider.tokenFor(email));
  }

  const decode = (token: string): Promise<Answer> =>
    keyhole.ask('/decode', { token, namespace: ORDERS, body: bodyOf(...sealed) });

  /** What the record says of each request: who, as whom it names them, and the outcome. */
  async function recorded(): Promise<readonly string[]> {
    return (await keyhole.records()).map(({ who, outcome }) => `${who} ${outcome}`);
  }

  test('by the Temporal CLI with a credential, and nobody else’s, expired or made up', async () => {
    const { stdout, code } = await show(`Bearer ${secrets['ci'] ?? ''}`);
    expect(code).toBe(0);
    expect(stdout).toContain(text);

    const others = [secrets['last-year'], secrets['billing'], plantSecret(`kh_${'A'.repeat(43)}`)];
    // it would ask again for 10 s
    const refused = await Promise.all(
      others.map((secret = '') => show(`Bearer ${secret}`, '--command-timeout', '3s')),
    );
    for (const { code, stdout } of refused) {
      keepStream('chain-cli', stdout); // searched for the workflow's text, too
      expect(code).not.toBe(0);
    }
    expect(await recorded()).toContain('billing role_missing');
    const answers = await Promise.all(others.map((secret = '') => decode(secret)));
    expect(answers.map(({ status, error }) => [status, error.code])).toEqual([
      [401, 'token_expired'],
      [403, 'role_missing'],
      [401, 'token_invalid'],
    ]);
    const records = await recorded();
    expect(records).toContain('ci ok');
    expect(records.filter((line) => line.endsWith(' ok') && !line.startsWith('ci '))).toEqual([]);
  });

  test('by nobody a second after their role was taken away, while others read on', async () => {
    const [alice, bob] = [await tokenOf(ALICE), await tokenOf(BOB)];
    expect(textsOf(await decode(bob))).toEqual([text]);
    ground.cloud.behaviour.users = [admin(ALICE)];
    const takenMs = performance.now();
    const late: Answer[] = [];
    for (let sinceMs = 0; sinceMs < 2_000; sinceMs = performance.now() - takenMs) {
      const [reads, answer] = await Promise.all([decode(alice), decode(bob)]);
      expect(textsOf(reads)).toEqual([text]);
      if (sinceMs > 1_000) late.push(answer);
    }
    expect(late.length).toBeGreaterThan(0);
    expect(new Set(late.map(({ status, error }) => `${status} ${error.code ?? ''}`))).toEqual(
      new Set(['403 role_missing']),
    );
  });

  test('by nobody at all once their role was taken away and the lists were purged by SIGHUP', async () => {
    ground.cloud.behaviour.users = [admin(ALICE), admin(BOB)];
    await configure(keyhole.directory, configuration(300));
    await keyhole.reload();
    const [alice, bob] = [await tokenOf(ALICE), await tokenOf(BOB)];
    expect(textsOf(await decode(bob))).toEqual([text]);
    ground.cloud.behaviour.users = [admin(ALICE)];
    expect(textsOf(await decode(bob))).toEqual([text]);
    await keyhole.reload();
    const [reads, refused] = await Promise.all([decode(alice), decode(bob)]);
    expect(textsOf(reads)).toEqual([text]);
    expect([refused.status, refused.error.code]).toEqual([403, 'role_missing']);
  });

  test('on a record that names each, and proves that nothing of it was changed', async () => {
    const records = await recorded();
    for (const line of [`${ALICE.email} ok`, `${BOB.email} ok`, `${BOB.email} role_missing`])
      expect(records).toContain(line);
    expect(records).not.toContain(`${ALICE.email} role_missing`);
    const verified = await run(['audit', 'verify', 'keyhole-audit.ndjson'], { cwd: keyhole.directory });
    expect(verified.code).toBe(0);
  });
});
