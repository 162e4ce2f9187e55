// A download request: judged as any other, and then there is nothing to fetch from.
import { KeyholeError } from '../errors.js';
import type { CallerRequest } from './caller-request.js';

/**
 * Callers read 404 as "not configured".
 *
 * @throws KeyholeError always: the policy's refusal, else `not_found`.
 */
export async function download(request: CallerRequest): Promise<never> {
  const decision = await request.decide('download', request.namespace);
  if (!decision.allowed) throw new KeyholeError(decision.code, decision.message);
  request.findings.decision = decision;
  throw new KeyholeError('not_found', 'no external storage is configured to download from');
}
