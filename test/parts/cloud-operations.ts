// Our stand-in for Temporal Cloud's Operations API: gRPC over TLS from the published protos, its people are data.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type handleUnaryCall,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import proto from '@temporalio/proto';
import type { Certificates } from '../../src/dev/certificates.js';
import type { Stoppable } from './spawn-part.js';

/** A name is said as the asked version of the API says it (enum or string); a number is an enum, known or not. */
export type Value = string | number;

export interface CloudPerson {
  readonly email: string;
  /** `active`, `suspended`, `deleted`, …; default is `active`. */
  readonly state?: Value;
  /** `owner`, `admin`, `developer`, `finance_admin`, `read`, `metrics_read`; default is no account access at all. */
  readonly account?: Value;
  /** `admin`, `write` or `read` by full name of the namespace. */
  readonly namespaces?: Readonly<Record<string, Value>>;
  readonly customRoles?: readonly string[];
  /** Permission on a namespace that comes from a role on its project; 0: the answer says only that it is inherited. */
  readonly inherited?: Readonly<Record<string, Value>>;
}

/** Access as a person's; members by e-mail. */
export interface CloudGroupOfPeople extends Omit<CloudPerson, 'email'> {
  readonly id: string;
  readonly members: readonly string[];
}

export interface CloudOperationsOptions {
  readonly certificates: Pick<Certificates, 'cert' | 'key'>;
  readonly users?: readonly CloudPerson[];
  readonly groups?: readonly CloudGroupOfPeople[];
  /** Answered by GetAccount. Default is `a1b2c`. */
  readonly account?: string;
  /** The only key that is let in. Default is any. */
  readonly apiKey?: string;
}

export type CloudMethod = keyof typeof SERVICE;

/** What our key may do, as the API decides it. */
export interface KeyStanding {
  /** Its role on the account; `undefined`: none, and then it may not list what belongs to the account. */
  readonly account?: Value;
  /** Namespaces it is Namespace Admin of: owners and admins are, of every one. */
  readonly namespaces?: readonly string[];
}

/** One request, as it arrived. */
export interface Asked {
  readonly method: CloudMethod;
  readonly authorization: string | undefined;
  readonly apiVersion: string | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
  /** The namespace or group whose list is asked for. */
  readonly of: string;
  /** On the monotonic clock. */
  readonly atMs: number;
}

export interface CloudOperationsStandIn extends Stoppable {
  /** `localhost:PORT`; the same after `up`. */
  readonly address: string;
  readonly asked: Asked[];
  /** May be changed at any time. */
  readonly behaviour: Behaviour;
  /** Ends all connections and refuses new ones. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export interface Behaviour {
  users: readonly CloudPerson[];
  groups: readonly CloudGroupOfPeople[];
  account: string;
  /** Default is an owner's. Since 2026-09 only owners and admins are told other people's access; the rest of the row stays. */
  key: KeyStanding;
  /** The only versions that are served. Default is any. */
  versions: readonly string[] | undefined;
  /** People a page, at most; the question's own bound holds as well. */
  pageSize: number;
  /** Each page says that the one after the first comes next. */
  repeatsPageToken: boolean;
  /** Pages never end, and each names another next one. */
  endless: boolean;
  /** Every answer is this late. */
  delayMs: number;
  /** No answer before it resolves. */
  gate: Promise<unknown> | undefined;
  /** Answered instead, by these methods (default is all). */
  refusal: { readonly code: status; readonly details?: string; readonly of?: CloudMethod } | undefined;
}

const { v1 } = proto.temporal.api.cloud.cloudservice;
const PATH = '/temporal.api.cloud.cloudservice.v1.CloudService';
/** From here on the API speaks enums; before it, strings in the deprecated fields. */
const FIRST_WITH_ENUMS = /^v(0\.([3-9]|\d{2,})|[1-9])/;

const STATES = ['', 'activating', 'activationfailed', 'active', 'updating', 'updatefailed'];
STATES.push('deleting', 'deletefailed', 'deleted', 'suspended', 'expired');
const ROLES = ['', 'owner', 'admin', 'developer', 'finance_admin', 'read', 'metrics_read'];
const PERMISSIONS = ['', 'admin', 'write', 'read'];

const SERVICE = {
  GetUsers: method('GetUsers', v1.GetUsersRequest, v1.GetUsersResponse),
  GetUserGroups: method('GetUserGroups', v1.GetUserGroupsRequest, v1.GetUserGroupsResponse),
  GetUserGroupMembers: method(
    'GetUserGroupMembers',
    v1.GetUserGroupMembersRequest,
    v1.GetUserGroupMembersResponse,
  ),
  GetUserNamespaceAssignments: method(
    'GetUserNamespaceAssignments',
    v1.GetUserNamespaceAssignmentsRequest,
    v1.GetUserNamespaceAssignmentsResponse,
  ),
  GetUserGroupNamespaceAssignments: method(
    'GetUserGroupNamespaceAssignments',
    v1.GetUserGroupNamespaceAssignmentsRequest,
    v1.GetUserGroupNamespaceAssignmentsResponse,
  ),
  GetCurrentIdentity: method(
    'GetCurrentIdentity',
    v1.GetCurrentIdentityRequest,
    v1.GetCurrentIdentityResponse,
  ),
  GetAccount: method('GetAccount', v1.GetAccountRequest, v1.GetAccountResponse),
};

export async function startCloudOperations(options: CloudOperationsOptions): Promise<CloudOperationsStandIn> {
  const { certificates, users = [], groups = [], account = 'a1b2c', apiKey } = options;
  const asked: Asked[] = [];
  const behaviour: Behaviour = {
    users,
    groups,
    account,
    key: { account: 'owner' },
    versions: undefined,
    pageSize: 1_000,
    repeatsPageToken: false,
    endless: false,
    delayMs: 0,
    gate: undefined,
    refusal: undefined,
  };
  const handlers = {
    GetUsers: unary('GetUsers', (question) => {
      const { users, nextPageToken } = page(behaviour, question, 'users', behaviour.users);
      const told = isPrivileged(behaviour.key);
      return { users: users.map((person) => user(person, enumsOf(question), told)), nextPageToken };
    }),
    GetUserGroups: unary('GetUserGroups', (question) => {
      const { groups, nextPageToken } = page(behaviour, question, 'groups', behaviour.groups);
      const told = isPrivileged(behaviour.key);
      return { groups: groups.map((one) => group(one, enumsOf(question), told)), nextPageToken };
    }),
    GetUserGroupMembers: unary('GetUserGroupMembers', (question) => {
      const members = behaviour.groups.find(({ id }) => id === question.of)?.members ?? [];
      const { ids, nextPageToken } = page(behaviour, question, 'ids', members);
      return { members: ids.map((email) => ({ memberId: { userId: idOf(email) } })), nextPageToken };
    }),
    GetUserNamespaceAssignments: unary('GetUserNamespaceAssignments', (question) => {
      const rows = behaviour.users.flatMap((one) =>
        assignment(one, question, { id: idOf(one.email), email: one.email }),
      );
      return page(behaviour, question, 'users', rows);
    }),
    GetUserGroupNamespaceAssignments: unary('GetUserGroupNamespaceAssignments', (question) => {
      const rows = behaviour.groups.flatMap((one) => assignment(one, question, { id: one.id }));
      return page(behaviour, question, 'groups', rows);
    }),
    GetCurrentIdentity: unary('GetCurrentIdentity', (question) => {
      const { account } = behaviour.key;
      const key = { email: 'keyhole', ...(account === undefined ? {} : { account }) };
      const { spec } = user(key, enumsOf(question), true);
      return { serviceAccount: { id: 'keyhole', spec: { access: spec.access } } };
    }),
    GetAccount: unary('GetAccount', () => ({ account: { id: behaviour.account } })),
  };
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(certificates.cert), private_key: Buffer.from(certificates.key) },
  ]);
  let server = new Server();
  const port = await listen(0);

  return {
    address: `localhost:${port}`,
    asked,
    behaviour,
    down,
    up: async () => {
      server = new Server();
      await listen(port);
    },
    stop: down,
  };

  async function listen(wanted: number): Promise<number> {
    server.addService(SERVICE, handlers);
    return new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${wanted}`, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  function down(): Promise<void> {
    server.forceShutdown();
    return Promise.resolve();
  }

  function unary<Answer>(
    name: CloudMethod,
    answer: (question: Asked) => Answer,
  ): handleUnaryCall<Question, Answer> {
    return ({ request, metadata }, callback) => {
      const question = questionOf(name, request, metadata);
      asked.push(question);
      void inTime().then(() => {
        const { refusal, versions } = behaviour;
        if (apiKey !== undefined && question.authorization !== `Bearer ${apiKey}`) {
          callback(errorOf(status.UNAUTHENTICATED, 'invalid API key'));
        } else if (refusal !== undefined && (refusal.of ?? name) === name) {
          callback(errorOf(refusal.code, refusal.details ?? 'refused'));
        } else if (versions?.includes(question.apiVersion ?? '') === false) {
          callback(errorOf(status.INVALID_ARGUMENT, 'unsupported temporal-cloud-api-version'));
        } else if (!mayAsk(behaviour.key, question)) {
          callback(errorOf(status.PERMISSION_DENIED, 'not authorized'));
        } else callback(null, answer(question));
      });
    };
  }

  async function inTime(): Promise<void> {
    await behaviour.gate;
    if (behaviour.delayMs > 0) await sleep(behaviour.delayMs, undefined, { ref: false });
  }
}

interface Question {
  readonly pageSize?: number | null;
  readonly pageToken?: string | null;
  readonly namespace?: string | null;
  readonly groupId?: string | null;
}

function questionOf(
  method: CloudMethod,
  { pageSize, pageToken, namespace, groupId }: Question,
  metadata: Metadata,
): Asked {
  return {
    method,
    authorization: metadata.get('authorization')[0]?.toString(),
    apiVersion: metadata.get('temporal-cloud-api-version')[0]?.toString(),
    pageSize: pageSize ?? 0,
    pageToken: pageToken ?? '',
    of: namespace ?? groupId ?? '',
    atMs: performance.now(),
  };
}

function isPrivileged({ account }: KeyStanding): boolean {
  return account === 'owner' || account === 'admin';
}

/** The account's lists are for every account role, a namespace's assignments for its admins, oneself for everybody. */
function mayAsk(key: KeyStanding, { method, of }: Asked): boolean {
  if (method === 'GetCurrentIdentity' || isPrivileged(key)) return true;
  if (method.endsWith('NamespaceAssignments')) return key.namespaces?.includes(of) ?? false;
  return key.account !== undefined || method === 'GetAccount';
}

function enumsOf({ apiVersion }: Asked): boolean {
  return FIRST_WITH_ENUMS.test(apiVersion ?? '');
}

/** Filters are ignored. A page token is the place of the page's first row. */
function page<Name extends string, Row>(
  behaviour: Behaviour,
  { pageSize: wanted, pageToken }: Asked,
  name: Name,
  rows: readonly Row[],
): Record<Name, readonly Row[]> & { readonly nextPageToken: string } {
  const size = Math.min(behaviour.pageSize, wanted === 0 ? 100 : wanted);
  const from = Number(pageToken);
  const next = from + size;
  const nextPageToken = behaviour.endless || next < rows.length ? tokenOf(behaviour, next, size) : '';
  const named = { [name]: rows.slice(from, next) } as unknown as Record<Name, readonly Row[]>;
  return { ...named, nextPageToken };
}

function idOf(email: string): string {
  return `id of ${email}`;
}

/** A row for whoever has access to the namespace: the most permissive of their own and what they inherit. */
function assignment(
  { account, namespaces = {}, inherited = {} }: Omit<CloudPerson, 'email'>,
  question: Asked,
  row: object,
): object[] {
  const { of } = question;
  const ofAccount = account === 'owner' || account === 'admin' ? 'admin' : undefined;
  const above = mostPermissive(inherited[of], ofAccount);
  const value = mostPermissive(above, namespaces[of]);
  if (value === undefined) return [];
  const [permission, permissionDeprecated] = said(value, PERMISSIONS, enumsOf(question));
  const namespaceAccess = value === 0 ? null : { permission, permissionDeprecated };
  return [{ ...row, namespaceAccess, inheritedAccess: value === above }];
}

/** A number, which is no permission that has a name, hides all others. */
function mostPermissive(...values: readonly (Value | undefined)[]): Value | undefined {
  const place = (value: Value): number => (typeof value === 'number' ? -1 : PERMISSIONS.indexOf(value));
  return values.filter((value) => value !== undefined).sort((one, other) => place(one) - place(other))[0];
}

function tokenOf({ repeatsPageToken }: Behaviour, next: number, size: number): string {
  return String(repeatsPageToken ? size : next);
}

interface Spec {
  readonly email: string;
  readonly access?: object;
}

function user(
  person: CloudPerson,
  enums: boolean,
  told: boolean,
): { readonly id: string; readonly spec: Spec } {
  const { email } = person;
  return {
    id: idOf(email),
    ...stateOf(person, enums),
    spec: { email, ...(told && { access: accessOf(person, enums) }) },
  };
}

function group(one: CloudGroupOfPeople, enums: boolean, told: boolean): object {
  const { id } = one;
  return {
    id,
    ...stateOf(one, enums),
    spec: { displayName: id, cloudGroup: {}, ...(told && { access: accessOf(one, enums) }) },
  };
}

function stateOf({ state = 'active' }: Pick<CloudPerson, 'state'>, enums: boolean): object {
  const [value, stateDeprecated] = said(state, STATES, enums);
  return { state: value, stateDeprecated };
}

function accessOf(
  { account, namespaces = {}, customRoles = [] }: Omit<CloudPerson, 'email'>,
  enums: boolean,
): object {
  const [role, roleDeprecated] = said(account ?? 0, ROLES, enums);
  return {
    ...(account !== undefined && {
      accountAccess: {
        role,
        roleDeprecated: roleDeprecated.replace('_', ''),
        customRoles: [...customRoles],
      },
    }),
    namespaceAccesses: Object.fromEntries(
      Object.entries(namespaces).map(([namespace, value]) => {
        const [permission, permissionDeprecated] = said(value, PERMISSIONS, enums);
        return [namespace, { permission, permissionDeprecated }];
      }),
    ),
  };
}

/** Enum and string of a value: a name has one of the two, by version of the API; what is no name is said as it is. */
function said(value: Value, names: readonly string[], enums: boolean): [number, string] {
  if (typeof value === 'number') return [value, ''];
  const place = names.indexOf(value);
  return enums && place !== -1 ? [place, ''] : [0, value];
}

interface MessageType {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

function method(name: string, question: MessageType, answer: MessageType): MethodDefinition<object, object> {
  const write = (type: MessageType) => (message: object) => Buffer.from(type.encode(message).finish());
  const read = (type: MessageType) => (bytes: Buffer) => type.decode(bytes);
  return {
    path: `${PATH}/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: write(question),
    requestDeserialize: read(question),
    responseSerialize: write(answer),
    responseDeserialize: read(answer),
  };
}

function errorOf(code: status, details: string): Partial<ServiceError> {
  return { code, details, metadata: new Metadata() };
}
