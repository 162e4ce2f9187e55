// The record as the configuration wants it: a file of its own, or the stream that a collector reads.
import { randomBytes } from 'node:crypto';
import { open, realpath, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { AuditLog } from '../access/audit/audit-log.js';
import { checkpointText } from '../access/audit/checkpoints.js';
import { openAuditFile } from '../access/audit/file-audit-log.js';
import type { Link } from '../access/audit/record.js';
import { StreamAuditLog } from '../access/audit/stream-audit-log.js';
import type { Metrics } from '../server/telemetry/metrics.js';
import type { AuditCopy } from './audit-copy.js';
import type { Config } from './config.js';
import { packageVersion } from './package-version.js';
import type { Problem } from './reading/problems.js';

export type AuditResult = { readonly audit: AuditLog } | { readonly problems: readonly Problem[] };

export interface AuditParts {
  /** Where the record goes with `audit: stdout`. */
  readonly stdout: Writable;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly copy: AuditCopy;
}

/** Whether a file can be made and synced beside the record, tried with one that is gone again. */
export async function tryAudit({ audit }: Pick<Config, 'audit'>): Promise<readonly Problem[]> {
  if (audit === 'stdout') return [];
  const path = await realpath(audit.file).catch(() => audit.file);
  const trial = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = await open(trial, 'wx', 0o600);
    await file.sync().finally(() => Promise.all([file.close(), rm(trial)]));
    return [];
  } catch (error) {
    return [cannotBeMade(error, path)];
  }
}

/** Its checkpoints go to the log, a metric and the copy. Whoever opened it closes it. */
export async function openAudit(
  { audit, digest }: Pick<Config, 'audit' | 'digest'>,
  { stdout, logger, metrics, copy }: AuditParts,
): Promise<AuditResult> {
  const options = {
    writer: { version: packageVersion(), configuration: digest },
    onCheckpoint: (checkpoint: Link) => {
      logger.info({ checkpoint: checkpointText(checkpoint) }, 'audit checkpoint');
      metrics.auditCheckpoint(checkpoint.sequence);
      copy.checkpoint(checkpoint);
    },
  };
  if (audit === 'stdout') return { audit: new StreamAuditLog(stdout, options) };
  try {
    return { audit: await openAuditFile(audit.file, { ...options, onLines: copy.add }) };
  } catch (error) {
    return { problems: [cannotBeMade(error, audit.file)] };
  }
}

function cannotBeMade(error: unknown, file: string): Problem {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return {
    path: 'audit.file',
    sentence: `the file ${file} cannot be made and synced in its directory (${code})`,
  };
}
