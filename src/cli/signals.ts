// What signals do to a running codec server.
import type { Logger } from 'pino';
import type { Service } from '../config/service.js';
import { loggedError } from '../server/error-log.js';
import { EXIT } from './exit-codes.js';

/**
 * SIGHUP reloads. SIGTERM drains, Ctrl-C too, without the delay for balancers; the next one of either ends the process
 * with 1. Resolves once it has stopped.
 */
export async function untilStopped(service: Service, logger: Logger): Promise<void> {
  const onReload = (): void => void service.reload();
  process.on('SIGHUP', onReload);
  await new Promise<void>((resolve, reject) => {
    let stopping = false;
    const stop = (hurry: boolean) => (): void => {
      if (stopping) process.exit(EXIT.failed);
      stopping = true;
      logger.info('stopping');
      service.stop({ hurry }).then(resolve, reject);
    };
    process.on('SIGTERM', stop(false));
    process.on('SIGINT', stop(true));
    process.on('uncaughtException', (error) => {
      logger.fatal({ error: loggedError(error) }, 'a fault of keyhole ends it');
      reject(error);
    });
  });
  process.off('SIGHUP', onReload);
  logger.info('stopped');
}
