// A codec server started from its configuration: all is tried before anything is taken.
import { createMetrics, type Metrics } from '../server/telemetry/metrics.js';
import { assemble, type Assembled } from './assemble.js';
import { AuditCopy } from './audit-copy.js';
import { assertCanListen } from './cannot-listen.js';
import { openAudit, tryAudit, type AuditResult } from './open-audit.js';
import { packageVersion } from './package-version.js';
import type { Problem } from './reading/problems.js';
import { selfTest } from './self-test/self-test.js';
import { Service, type ServiceOptions } from './service.js';

export type StartResult = { readonly service: Service } | { readonly problems: readonly Problem[] };

/**
 * Opens no port where there are problems.
 *
 * @throws Error with one sentence where an address cannot be listened on, or the self-test fails.
 */
export async function startService(options: ServiceOptions): Promise<StartResult> {
  const { config, logger, tracing } = options;
  const metrics = createMetrics(packageVersion());
  const result = await assemble(config, { logger, metrics, tracing });
  if ('problems' in result) {
    await metrics.close();
    return result;
  }
  const copy = new AuditCopy(logger, metrics);
  const close = async (): Promise<void> => {
    result.assembled.close();
    await Promise.all([copy.close(), metrics.close()]);
  };
  const opened = await openedLast(options, result.assembled, metrics, copy).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  if ('problems' in opened) {
    await close();
    return opened;
  }
  for (const warning of config.warnings) logger.warn(warning);
  const service = new Service(options, { audit: opened.audit, copy, metrics }, result.assembled);
  await service.listen();
  return { service };
}

/**
 * The record, once nothing else is in the way: whoever starts a second server by mistake takes nothing from the one that
 * runs.
 *
 * @throws Error with one sentence where an address cannot be listened on, or the self-test fails.
 */
async function openedLast(
  options: ServiceOptions,
  assembled: Assembled,
  metrics: Metrics,
  copy: AuditCopy,
): Promise<AuditResult> {
  const { config, logger } = options;
  const problems = await tryAudit(config);
  if (problems.length > 0) return { problems };
  void assembled.warm();
  await selfTest({ logger });
  await assertCanListen(config.metrics, 'metrics.listen');
  await assertCanListen(config.server.listen, 'listen');
  await copy.use(config);
  return openAudit(config, { ...options, metrics, copy });
}
