// What a line of the record says of people who sign in, sign out, or look up what they may do.
import type { Visit } from './audit-log.js';
import {
  AUTHENTICATION,
  classified,
  cut,
  DATASTORE_ACTIVITY,
  listed,
  metadata,
  namespaceOf,
  OTHER,
  statusOf,
  userOf,
  type Attributes,
  type AuditRecord,
} from './ocsf.js';

/** OpenID, in `auth_protocol_id` of OCSF. */
const OPENID = 4;

export function visitRecord(visit: Visit, nowMs: number): AuditRecord {
  const { requestId, activity, status, outcome, who, namespaces } = visit;
  const seen = activity === 'look' ? listed(namespaces) : undefined;
  return {
    ...(activity === 'look' ? look(visit, nowMs) : session(visit, nowMs)),
    ...statusOf(outcome),
    metadata: metadata(),
    src_endpoint: { ip: cut(who.address) },
    http_request: { uid: cut(requestId) },
    http_response: { code: status },
    unmapped: {
      type: activity,
      method: who.method,
      namespaces: seen?.named,
      namespacesMore: seen?.more,
    },
  };
}

function session({ activity, who }: Visit, nowMs: number): Attributes {
  return {
    ...classified(AUTHENTICATION, activity === 'sign-in' ? [1, 'Logon'] : [2, 'Logoff'], nowMs),
    actor: { idp: { name: cut(who.issuer) }, app_name: 'keyhole' },
    user: userOf(who),
    service: { name: 'keyhole' },
    auth_protocol_id: OPENID,
    auth_protocol: 'OpenID',
  };
}

function look({ who, namespaces: [first] }: Visit, nowMs: number): Attributes {
  return {
    ...classified(DATASTORE_ACTIVITY, [OTHER, 'Look'], nowMs),
    actor: { user: userOf(who), idp: { name: cut(who.issuer) } },
    database:
      first === undefined ? { name: 'keyhole', type: 'Codec server', type_id: OTHER } : namespaceOf(first),
  };
}
