// What dev mode says once everything runs: what to open, as whom, and what they will see.
import { basename } from 'node:path';
import { NAMESPACES, ORDERS, PEOPLE, RITA, sightOf } from './people.js';
import { linesOf } from './table.js';
import { SAMPLES } from './temporal/samples.js';
import type { TemporalCli } from './temporal/temporal-cli.js';
import type { Paint } from './terminal.js';

export interface Opened {
  /** Absent without a Temporal server. */
  readonly temporal:
    { readonly signIn: string; readonly address: string; readonly cli: TemporalCli } | undefined;
  /** Origin of the codec server. */
  readonly codec: string;
  readonly files: DevFiles;
  readonly width: number;
}

export interface DevFiles {
  /** The authority to trust. */
  readonly ca: string;
  /** The access token of a person. */
  readonly tokenOf: (email: string) => string;
  /** A body for `/decode` with sealed payloads. */
  readonly sealed: string;
  readonly audit: string;
}

export function whatToOpen(opened: Opened, paint: Paint): string {
  const { temporal, files } = opened;
  const parts = [
    ...(temporal === undefined
      ? []
      : [webUi(temporal.signIn, opened.width, paint), cli(opened, temporal, paint)]),
    curl(opened, paint),
    `${paint('bold', 'The record')} of who asked for what; beside it lie the codec server’s configuration, keys and log\n\n  tail -f ${files.audit}`,
    'Ctrl-C ends everything and removes these files.',
  ];
  return parts.join('\n\n');
}

function webUi(signIn: string, width: number, paint: Paint): string {
  const people = [...PEOPLE.map(({ email }) => email), undefined];
  const rows = people.flatMap((email) =>
    NAMESPACES.map((namespace, index) => [
      index === 0 ? (email ?? 'nobody') : '',
      namespace,
      sightOf(email, namespace),
    ]),
  );
  const lines = linesOf({ header: ['AS', 'IN', 'YOU WILL SEE'], rows, width });
  const workflows = SAMPLES.map(({ workflowId }) => workflowId).join(', ');
  return [
    `${paint('bold', 'Open')} ${paint('cyan', signIn)} and sign in`,
    '',
    paint('dim', lines.header),
    ...lines.rows.flat(),
    '',
    `  Each namespace has the workflows ${workflows}.`,
  ].join('\n');
}

function cli({ codec, files }: Opened, temporal: NonNullable<Opened['temporal']>, paint: Paint): string {
  const program = temporal.cli.from === 'PATH' ? 'temporal' : temporal.cli.path;
  return [
    `${paint('bold', 'Or ask on the command line')}, here as alice`,
    '',
    `  SSL_CERT_FILE=${files.ca} ${program} \\`,
    `    workflow show --address ${temporal.address} --namespace ${ORDERS} --workflow-id ${SAMPLES[0]?.workflowId ?? ''} \\`,
    `    --codec-endpoint '${codec}/{namespace}' --codec-auth "Bearer $(cat ${tokenFile(files)})"`,
    '',
    `  As rita (${basename(files.tokenOf(RITA.email))}) it tries for 10 s and ends with “context deadline exceeded”: the CLI keeps the reason to itself, curl tells it.`,
  ].join('\n');
}

function curl({ codec, files }: Opened, paint: Paint): string {
  return [
    `${paint('bold', 'Or ask the codec server itself')}; the other tokens lie beside alice’s`,
    '',
    `  curl --cacert ${files.ca} ${codec}/${ORDERS}/decode \\`,
    `    -H 'Content-Type: application/json' -H "Authorization: Bearer $(cat ${tokenFile(files)})" --data @${files.sealed}`,
  ].join('\n');
}

function tokenFile(files: DevFiles): string {
  return files.tokenOf(PEOPLE[0]?.email ?? '');
}
