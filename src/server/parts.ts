// What a codec server is put together from.
import type { Logger } from 'pino';
import type { AuditLog } from '../access/audit/audit-log.js';
import type { Authorizer } from '../access/policy.js';
import type { Authenticator } from '../access/principal.js';
import type { SignIn } from '../access/sign-in/sign-in.js';
import type { Clock } from '../clock.js';
import type { PayloadCipher } from '../codec/payload-cipher.js';
import type { ServerOptions } from './options.js';
import type { Metrics } from './telemetry/metrics.js';
import type { Tracing } from './telemetry/tracing.js';

/** The owner of these parts closes them, after the server. */
export interface CodecServerParts {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** Absent: nobody signs in here, and cookies are not looked at. */
  readonly signIn?: SignIn;
  readonly audit: AuditLog;
  readonly cipher: PayloadCipher;
  readonly options: ServerOptions;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly tracing?: Tracing;
  /** Default is the system's. */
  readonly clock?: Clock;
}
