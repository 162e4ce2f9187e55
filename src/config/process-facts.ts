// How the process was started: what weakens TLS, HTTP or memory is refused, an old Node warned of.
import type { Environment } from './environment.js';
import type { Problem } from './reading/problems.js';

export interface ProcessFacts {
  /** `process.execArgv` */
  readonly execArgv: readonly string[];
  /** `process.versions.node` */
  readonly nodeVersion: string;
}

/** The oldest major version that its makers still mend (from 2026-05 on). */
const OLDEST_MAINTAINED = 22;

export function processProblems({ execArgv }: ProcessFacts, env: Environment): Problem[] {
  const words = (env['NODE_OPTIONS'] ?? '').split(/\s+/).map(asNodeReads);
  const refused = (test: RegExp, sentence: string): Problem[] => [
    ...(execArgv.map(asNodeReads).some((word) => test.test(word)) ? [{ path: 'node', sentence }] : []),
    ...(words.some((word) => test.test(word)) ? [{ path: 'NODE_OPTIONS', sentence }] : []),
  ];
  return [
    ...(env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0'
      ? [
          {
            path: 'NODE_TLS_REJECT_UNAUTHORIZED',
            sentence: 'must not be 0: certificates would not be checked',
          },
        ]
      : []),
    ...refused(/^--inspect/, 'must not have --inspect: a debugger can read every key'),
    ...refused(/^--insecure-http-parser$/, 'must not have --insecure-http-parser'),
  ];
}

/** Node takes `_` for `-` in the name of an option, and quotes in NODE_OPTIONS. */
function asNodeReads(word: string): string {
  return word.replaceAll(/["\\]/g, '').replaceAll('_', '-');
}

export function processWarnings({ nodeVersion }: ProcessFacts): string[] {
  if (Number.parseInt(nodeVersion, 10) >= OLDEST_MAINTAINED) return [];
  return [`Node ${nodeVersion} is past its end of life: use ${OLDEST_MAINTAINED} or newer`];
}
