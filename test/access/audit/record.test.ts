// Records against OCSF's own definitions.
import { describe, expect, test } from 'vitest';
import { AuditChain } from '../../../src/access/audit/chain.js';
import { gapRecord, requestRecord, startRecord, type AuditRecord } from '../../../src/access/audit/record.js';
import { visitRecord } from '../../../src/access/audit/visit-record.js';
import { ACTIONS } from '../../../src/access/policy.js';
import { auditEvent, visit, WRITER } from './events.js';
import { ocsfMistakes } from './ocsf.js';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const LINK = { chain: 'a'.repeat(24), sequence: 7, hash: 'b'.repeat(64) };
const { who } = auditEvent('r');

const RECORDS: readonly (readonly [what: string, record: AuditRecord])[] = [
  ...ACTIONS.map((action) => [action, requestRecord(auditEvent('r', { action }), NOW)] as const),
  [
    'a refusal of somebody without an e-mail',
    requestRecord(
      auditEvent('r', {
        status: 403,
        outcome: 'role_missing',
        why: undefined,
        who: { ...who, email: undefined },
      }),
      NOW,
    ),
  ],
  [
    'a request that opened something of another namespace',
    requestRecord(
      auditEvent('r', {
        alsoOpened: [
          { namespace: 'billing.a1b2c', payloads: 1, rule: 1, role: 'r', source: 'static', ageMs: 0 },
        ],
      }),
      NOW,
    ),
  ],
  ['a caller over IPv6', requestRecord(auditEvent('r', { who: { ...who, address: '2001:db8::1' } }), NOW)],
  ['a caller who went away', requestRecord(auditEvent('r', { status: 0, outcome: 'caller_gone' }), NOW)],
  ['a look', visitRecord(visit('look', { namespaces: ['orders.a1b2c', 'billing.a1b2c'] }), NOW)],
  ['a look at all namespaces', visitRecord(visit('look'), NOW)],
  ['a look that was refused', visitRecord(visit('look', { status: 429, outcome: 'rate_limited' }), NOW)],
  ['a gap', gapRecord({ refused: 3, sinceMs: NOW - 5_000 }, NOW)],
  ['the first start', startRecord({ ...WRITER, cause: 'start', after: undefined }, NOW)],
  ['a start after another chain', startRecord({ ...WRITER, cause: 'failure', after: LINK }, NOW)],
];

const SESSION_RECORDS: readonly (readonly [what: string, record: AuditRecord])[] = [
  ['a sign-in', visitRecord(visit('sign-in'), NOW)],
  ['a sign-out', visitRecord(visit('sign-out'), NOW)],
  ['somebody without an e-mail', visitRecord(visit('sign-in', { who: { ...who, email: undefined } }), NOW)],
];

function written(record: AuditRecord): Record<string, unknown> {
  return JSON.parse(new AuditChain().lines([record]).toString()) as Record<string, unknown>;
}

describe('the line of', () => {
  test.each(RECORDS)('%s is OCSF 1.8 Datastore Activity', (_what, record) => {
    expect(written(record)).toMatchObject({ class_uid: 6005, category_uid: 6 });
    expect(ocsfMistakes(written(record))).toEqual([]);
  });

  test.each(SESSION_RECORDS)('%s is OCSF 1.8 Authentication', (_what, record) => {
    expect(written(record)).toMatchObject({ class_uid: 3002, category_uid: 3 });
    expect(ocsfMistakes(written(record))).toEqual([]);
  });
});

test('a sign-in is a Logon, a sign-out a Logoff, of the person and with their address', () => {
  const told = (['sign-in', 'sign-out'] as const).map((activity) => visitRecord(visit(activity), NOW));
  expect(told.map(({ activity_name, type_uid }) => [activity_name, type_uid])).toEqual([
    ['Logon', 300201],
    ['Logoff', 300202],
  ]);
  expect(told[0]).toMatchObject({
    user: { uid: 'auth0|alice', email_addr: 'alice@example.com' },
    actor: { idp: { name: 'https://idp.example/' } },
    src_endpoint: { ip: '127.0.0.1' },
    status_code: 'ok',
    unmapped: { type: 'sign-in' },
  });
});

test.each<[what: string, change: (record: Record<string, unknown>) => void, mistake: string]>([
  ['an attribute that OCSF does not have', (record) => (record['colour'] = 1), 'colour: unknown'],
  ['a missing attribute', (record) => delete record['src_endpoint'], 'src_endpoint: missing'],
  ['an activity that there is not', (record) => (record['activity_id'] = 11), 'activity_id: not of its enum'],
  ['a time as text', (record) => (record['time'] = '2026'), 'time: no timestamp_t'],
  ['an address that is none', (record) => (record['src_endpoint'] = { ip: 'x' }), 'src_endpoint.ip: no ip_t'],
  ['no datastore', (record) => delete record['database'], ': none of database, databucket, table'],
  ['another class', (record) => (record['class_uid'] = 6006), 'class_uid: not of its enum'],
])('%s would be noticed', (_what, change, mistake) => {
  const record = written(requestRecord(auditEvent('r'), NOW));
  change(record);
  expect(ocsfMistakes(record)).toContain(mistake);
});

test('decode is Decrypt, encode is Encrypt, download is Read', () => {
  const told = ACTIONS.map((action) => requestRecord(auditEvent('r', { action }), NOW));
  expect(told.map(({ activity_id, type_uid }) => [activity_id, type_uid])).toEqual([
    [10, 600510],
    [9, 600509],
    [1, 600501],
  ]);
});
