// All that is fuzzed.
import type { FuzzTarget } from './target.js';
import { body } from './targets/body.js';
import { configuration } from './targets/configuration.js';
import { envelope } from './targets/envelope.js';
import { keyService } from './targets/key-service.js';
import { keySet } from './targets/key-set.js';
import { operations } from './targets/operations.js';
import { rawHttp } from './targets/raw-http.js';
import { token } from './targets/token.js';

export const TARGETS: readonly FuzzTarget[] = [
  envelope,
  body,
  token,
  rawHttp,
  configuration,
  keySet,
  operations,
  keyService,
];
