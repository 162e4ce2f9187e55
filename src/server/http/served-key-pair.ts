// The certificate and key that the HTTPS listener serves: exchanged when their files change, warned of before they end.
import type { Server } from 'node:https';
import type { Clock } from '../../clock.js';
import type { CodecServerParts } from '../parts.js';
import { loggedError } from '../telemetry/error-log.js';
import { KeyPairRefused, loadKeyPair, watchKeyPair } from './tls.js';

const EXPIRY_WARNING_MS = 14 * 86_400_000;

export class ServedKeyPair {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #parts: () => CodecServerParts;
  #expiresAtMs: number | undefined;
  #unwatch: () => void = () => undefined;

  /** `parts` as they are at the moment: a reload of the configuration may name other files. */
  constructor(server: Server, clock: Clock, parts: () => CodecServerParts) {
    this.#server = server;
    this.#clock = clock;
    this.#parts = parts;
  }

  get expiresAtMs(): number | undefined {
    return this.#expiresAtMs;
  }

  /** Rejects as `loadKeyPair`, and keeps the old pair, where the new one cannot be used. */
  async read(): Promise<void> {
    const { tls } = this.#parts().options;
    if (tls === undefined) return;
    const { cert, key, expiresAtMs } = await loadKeyPair(tls, this.#clock.wall());
    this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' });
    this.#expiresAtMs = expiresAtMs;
    this.#warnBeforeEnd(expiresAtMs);
  }

  /** From now on the files that the configuration names now, and no others. */
  watch(): void {
    const { tls } = this.#parts().options;
    this.#unwatch();
    if (tls === undefined) return;
    this.#unwatch = watchKeyPair(tls, () => {
      this.#readChanged();
    });
  }

  unwatch(): void {
    this.#unwatch();
  }

  #readChanged(): void {
    this.read().then(
      () => {
        this.#parts().logger.info('certificate and key were read again');
      },
      (error: unknown) => {
        this.#parts().logger.error(
          error instanceof KeyPairRefused ? { mistakes: error.mistakes } : { error: loggedError(error) },
          'the new certificate and key cannot be used; the old ones stay',
        );
      },
    );
  }

  #warnBeforeEnd(expiresAtMs: number): void {
    if (expiresAtMs - this.#clock.wall() > EXPIRY_WARNING_MS) return;
    this.#parts().logger.warn(
      { expires: new Date(expiresAtMs).toISOString() },
      'the certificate expires soon',
    );
  }
}
