// A request to /decode, /encode or /download, top to bottom.
import type { Principal } from '../access/principal.js';
import { KeyholeError } from '../errors.js';
import { CallerDeadline } from './admission/caller-deadline.js';
import type { Place } from './admission/places.js';
import type { WrittenReply } from './caller-request.js';
import { callerOf } from './caller.js';
import { assertJson, assertThere } from './http/request-body.js';
import type { Route } from './http/route.js';
import { serveKnownCaller } from './known-caller.js';
import { requestNamespace } from './request-namespace.js';
import { strangerNotice } from './stranger-notice.js';
import type { Turn, TurnInPlace } from './turn.js';

/**
 * The page's origin, the method, the namespace, the kind of body; then who asks, then whether they may, and only then
 * the body.
 *
 * @throws KeyholeError what the request is refused with.
 */
export async function answerCodecRequest(
  turn: Turn,
  route: Extract<Route, { kind: 'codec' }>,
): Promise<void> {
  const { exchange, headers, admission, setup } = turn;
  if (exchange.request.method === 'OPTIONS') {
    preflight(turn);
    return;
  }
  assertOrigin(turn);
  assertMethod(turn, ['POST']);
  const namespace = requestNamespace(route.namespace, headers.namespace);
  assertJson(headers);
  const reply = async (place: Place): Promise<void> => {
    assertThere(exchange);
    const { outcome, body } = await judgedReply(Object.assign(turn, { place }), route, namespace);
    exchange.answer(200, outcome, body);
  };
  await admission.during(setup.parts.options.limits, reply, () => {
    exchange.dropBody();
  });
}

/** @throws KeyholeError `origin_refused` */
export function assertOrigin({ origin }: Turn): void {
  if (origin !== 'refused') return;
  throw new KeyholeError(
    'origin_refused',
    'pages of this origin may not call this server: setting "cors.origins"',
  );
}

/** @throws KeyholeError `method_not_allowed` */
export function assertMethod({ exchange }: Turn, methods: readonly string[]): void {
  if (methods.includes(exchange.request.method ?? '')) return;
  exchange.headers.push(['Allow', methods.join(', ')]);
  throw new KeyholeError('method_not_allowed', `this address takes ${methods.join(', ')}`);
}

/** A browser asks whether its page may send what it has in mind; one that may not gets no answer to that. */
function preflight({ exchange, origin, setup }: Turn): void {
  if (origin === 'allowed') exchange.headers.push(...setup.cors.preflightHeaders());
  exchange.headers.push(['Allow', 'POST, OPTIONS']);
  exchange.answer(204, 'ok', undefined);
}

async function judgedReply(
  turn: TurnInPlace,
  { action }: Extract<Route, { kind: 'codec' }>,
  namespace: string,
): Promise<WrittenReply> {
  const deadline = new CallerDeadline(turn.clock);
  let principal: Principal;
  try {
    principal = await callerOf(turn, deadline);
  } catch (refusal) {
    return await strangerNotice(turn, action, refusal);
  }
  return await serveKnownCaller(turn, principal, action, namespace, deadline);
}
