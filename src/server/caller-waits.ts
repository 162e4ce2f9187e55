// What a known caller's request waits for, each in that caller's part of the places: its turn, roles, keys.
import { setTimeout as pause } from 'node:timers/promises';
import type { Patience } from '../access/patience.js';
import type { Authorizer } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { KeyholeError } from '../errors.js';
import { beyondRate } from './admission/caller-budgets.js';
import type { CallerDeadline } from './admission/caller-deadline.js';
import { callerName } from './admission/caller-name.js';
import type { Waiter } from './admission/waits.js';
import type { KeyWait } from './caller-request.js';
import { MAX_WAIT_MS } from './limits.js';
import type { Turn } from './turn.js';

/**
 * A caller beyond the rate waits a little; far beyond it, or where too many wait so, the request is refused.
 *
 * @throws KeyholeError `rate_limited`
 */
export async function takeTurn({ admission, budgets, setup }: Turn, principal: Principal): Promise<void> {
  const { limits } = setup.parts.options;
  const { waits } = admission;
  const waiter = { name: 'rate', exceeded: () => beyondRate(limits, MAX_WAIT_MS) };
  const waitMs = budgets.takeRequest(principal, limits, () => waits.hasRoom(waiter, limits));
  if (waitMs > 0) await waits.until(pause(waitMs), waiter, limits);
}

export type Asking<T> = (authorizer: Authorizer, patience: Patience) => Promise<T>;

/**
 * What the policy answers to all that a request asks it at once. While roles are slow to come, one caller's requests keep
 * a part of the places, and beyond it no list of roles is loaded for them; what is known of roles needs none.
 *
 * @throws KeyholeError `authz_unavailable`; `rate_limited`, `overloaded`
 */
export function decided<T>(
  { admission, latest }: Pick<Turn, 'admission' | 'latest'>,
  { principal, deadline, wanted, mostMs }: Waiting,
  ask: Asking<T>,
): Promise<T> {
  const { authorizer, options } = latest().parts;
  const waiter = waiterOf(principal, wanted);
  const refusal = admission.waits.refusal(waiter, options.limits);
  const patience = refusal === undefined ? deadline : { signal: AbortSignal.abort(refusal) };
  return admission.waits.during(
    waiter,
    options.limits,
    () => ask(authorizer, patience),
    (answer) => deadline.run('authz_unavailable', () => answer, mostMs),
  );
}

/** Who waits for roles: on which namespaces, and how long at most, if not until the deadline. */
export interface Waiting {
  readonly principal: Principal;
  readonly deadline: CallerDeadline;
  readonly wanted: readonly string[];
  readonly mostMs?: number | undefined;
}

/** One for all that a request waits for at once. */
export function keyWait(turn: Turn, principal: Principal, deadline: CallerDeadline): KeyWait {
  const { limits } = turn.setup.parts.options;
  const { waits } = turn.admission;
  const waiter = waiterOf(principal);
  const inTime = <T>(later: Promise<T>): Promise<T> => deadline.run('kms_unavailable', () => later);
  const askedFor = new Set<string>();
  let asks = false;
  let told = (): void => undefined;
  return {
    onAsking: (wrapped) => {
      asks = true;
      told();
      const refusal = waits.refusal(waiter, limits);
      if (refusal !== undefined) throw refusal;
      if (wrapped === undefined) return;
      const before = askedFor.size;
      if (askedFor.add(Buffer.from(wrapped).toString('latin1')).size === before) return;
      turn.budgets.takeKeyCall(principal, limits);
    },
    wait: async (later, settled) => {
      turn.alsoWorks(settled);
      // what is compressed first is not asked for until then
      if (!asks) await inTime(Promise.race([later, new Promise<void>((resolve) => (told = resolve))]));
      return asks ? await waits.during(waiter, limits, () => later, inTime) : await later;
    },
  };
}

function waiterOf(principal: Principal, wanted?: readonly string[]): Waiter {
  const message = 'too many of your requests wait for your roles or for keys: try again later';
  const exceeded = (): KeyholeError => new KeyholeError('rate_limited', message);
  return { name: callerName(principal), exceeded, wanted };
}
