// What signals do to a codec server.
import type { Log } from '../config/logger.js';
import type { Service } from '../config/service.js';
import { loggedError } from '../server/error-log.js';
import { EXIT } from './exit-codes.js';

/** Until there is something to reload, SIGHUP is nothing: it would end the process. */
export function holdReloads(): void {
  process.on('SIGHUP', () => undefined);
}

/**
 * SIGHUP reloads. SIGTERM drains; Ctrl-C too, without the delay for balancers; the next one of either ends the process
 * with 1, and so does a fault that nothing caught. Resolves once the server has stopped.
 */
export async function untilStopped(service: Service, { logger, flush }: Log): Promise<void> {
  const die = (): never => {
    flush();
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', (error) => {
    logger.fatal({ error: loggedError(error) }, 'a fault that nothing caught ends keyhole');
    die();
  });
  process.on('SIGHUP', () => void service.reload());
  const hurry = await new Promise<boolean>((resolve) => {
    process.once('SIGTERM', () => {
      resolve(false);
    });
    process.once('SIGINT', () => {
      resolve(true);
    });
  });
  process.on('SIGTERM', die);
  process.on('SIGINT', die);
  logger.info('stopping');
  await service.stop({ hurry });
  logger.info('stopped');
}
