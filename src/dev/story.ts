// The story of dev mode: each person asks the codec server, and a table says who saw what.
import type { TrustingFetch } from '../access/outgoing/trusting-fetch.js';
import { ask, type Answer, type JsonPayload } from './ask.js';
import { judge, questions, tell, type Material, type Question } from './questions.js';
import { linesOf } from './table.js';
import type { Paint } from './terminal.js';

/** What there is of one namespace: all of it, and the small part that a page of the Web UI asks for. */
export interface NamespaceMaterial {
  readonly all: Material;
  readonly page: Material;
}

export interface StoryOptions {
  readonly fetch: TrustingFetch;
  /** Origin of the codec server. */
  readonly codec: string;
  /** Origin of the Web UI, which the codec server allows. */
  readonly uiOrigin: string;
  /** The access token of a person, for scripts. */
  readonly tokenFor: (email: string) => Promise<string>;
  /** The `Cookie` header of a person's session at the codec server, for the Web UI. */
  readonly cookieFor: (email: string) => Promise<string>;
  readonly material: ReadonlyMap<string, NamespaceMaterial>;
}

export interface Row {
  readonly question: Question;
  readonly status: number;
  readonly saw: string;
  readonly asExpected: boolean;
}

/** Asks everything. Answers the rows of the table. */
export async function askEverything(options: StoryOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const question of questions()) rows.push(await askOne(question, options));
  return rows;
}

async function askOne(question: Question, options: StoryOptions): Promise<Row> {
  const isBrowser = question.from === 'the Web UI';
  const there = options.material.get(question.boundTo);
  const material = (isBrowser ? there?.page : there?.all) ?? { sealed: [], secrets: [] };
  const answer = await ask({
    fetch: options.fetch,
    codec: options.codec,
    route: 'decode',
    namespace: question.namespace,
    payloads: material.sealed,
    ...(isBrowser && { origin: options.uiOrigin }),
    ...(question.who !== undefined && (await proofOf(question.who, isBrowser, options))),
  });
  return rowOf(question, answer, material);
}

async function proofOf(who: string, isBrowser: boolean, { tokenFor, cookieFor }: StoryOptions) {
  return isBrowser ? { cookie: await cookieFor(who) } : { token: await tokenFor(who) };
}

function rowOf(question: Question, answer: Answer, material: Material): Row {
  const asExpected =
    material.sealed.length > 0 &&
    answer.status === question.status &&
    judge(answer, material) === question.sight;
  const expected = `${question.sight} with ${question.status}`;
  const saw = tell(answer, material);
  return {
    question,
    status: answer.status,
    saw: asExpected ? saw : `${saw} — expected ${expected}`,
    asExpected,
  };
}

const HEADER = ['WHO', 'ROLE', 'NAMESPACE', 'ASKED BY', 'STATUS', 'WHAT THEY SAW'];

/** The table as text. */
export function tableOf(rows: readonly Row[], width: number, paint: Paint): string {
  const cells = rows.map(({ question, status, saw }) => [
    nameOf(question.who),
    question.role,
    question.namespace,
    question.from,
    String(status),
    question.boundTo === question.namespace ? saw : `(payloads of ${question.boundTo}) ${saw}`,
  ]);
  const lines = linesOf({ header: HEADER, rows: cells, width });
  const body = rows.flatMap((row, index) => {
    const colour = !row.asExpected ? 'red' : row.question.sight === 'plaintext' ? 'green' : undefined;
    return (lines.rows[index] ?? []).map((line) => (colour === undefined ? line : paint(colour, line)));
  });
  return [paint('dim', lines.header), ...body].join('\n');
}

/** The part of an e-mail that tells people apart here. */
export function nameOf(email: string | undefined): string {
  return email?.split('@', 1)[0] ?? 'nobody';
}

/** One sentence under the table. */
export function verdictOf(rows: readonly Row[], paint: Paint): string {
  const wrong = rows.filter((row) => !row.asExpected).length;
  if (wrong === 0) return `${paint('green', '✓')} All ${rows.length} answers are as they should be.`;
  return `${paint('red', '✗')} ${wrong} of ${rows.length} answers are not as they should be.`;
}

/** Seals samples by asking the codec server to, where there is no Temporal server to run workflows on. */
export async function sealThroughServer(
  options: Pick<StoryOptions, 'fetch' | 'codec' | 'tokenFor'>,
  email: string,
  namespace: string,
  texts: readonly string[],
): Promise<JsonPayload[]> {
  const encoding = Buffer.from('json/plain').toString('base64');
  const answer = await ask({
    fetch: options.fetch,
    codec: options.codec,
    route: 'encode',
    namespace,
    payloads: texts.map((text) => ({ metadata: { encoding }, data: Buffer.from(text).toString('base64') })),
    token: await options.tokenFor(email),
  });
  if (answer.status !== 200)
    throw new Error(
      `the codec server did not seal for ${email} in ${namespace}: ${answer.error?.message ?? answer.status}`,
    );
  return [...answer.payloads];
}
