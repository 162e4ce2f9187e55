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
}

export interface CloudOperationsOptions {
  readonly certificates: Pick<Certificates, 'cert' | 'key'>;
  readonly users?: readonly CloudPerson[];
  /** Answered by GetAccount. Default is `a1b2c`. */
  readonly account?: string;
  /** The only key that is let in. Default is any. */
  readonly apiKey?: string;
}

export type CloudMethod = 'GetUsers' | 'GetAccount';

/** One request, as it arrived. */
export interface Asked {
  readonly method: CloudMethod;
  readonly authorization: string | undefined;
  readonly apiVersion: string | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
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
  account: string;
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
  GetAccount: method('GetAccount', v1.GetAccountRequest, v1.GetAccountResponse),
};

export async function startCloudOperations(options: CloudOperationsOptions): Promise<CloudOperationsStandIn> {
  const { certificates, users = [], account = 'a1b2c', apiKey } = options;
  const asked: Asked[] = [];
  const behaviour: Behaviour = {
    users,
    account,
    pageSize: 1_000,
    repeatsPageToken: false,
    endless: false,
    delayMs: 0,
    gate: undefined,
    refusal: undefined,
  };
  const handlers = {
    GetUsers: unary('GetUsers', ({ pageSize, pageToken, apiVersion }) =>
      page(behaviour, pageSize, pageToken, FIRST_WITH_ENUMS.test(apiVersion ?? '')),
    ),
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
        const { refusal } = behaviour;
        if (apiKey !== undefined && question.authorization !== `Bearer ${apiKey}`) {
          callback(errorOf(status.UNAUTHENTICATED, 'invalid API key'));
        } else if (refusal !== undefined && (refusal.of ?? name) === name) {
          callback(errorOf(refusal.code, refusal.details ?? 'refused'));
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
}

function questionOf(method: CloudMethod, { pageSize, pageToken }: Question, metadata: Metadata): Asked {
  return {
    method,
    authorization: metadata.get('authorization')[0]?.toString(),
    apiVersion: metadata.get('temporal-cloud-api-version')[0]?.toString(),
    pageSize: pageSize ?? 0,
    pageToken: pageToken ?? '',
    atMs: performance.now(),
  };
}

/** A page token is the place of the page's first person. */
function page(behaviour: Behaviour, wanted: number, pageToken: string, enums: boolean): object {
  const size = Math.min(behaviour.pageSize, wanted === 0 ? 1_000 : wanted);
  const from = Number(pageToken);
  const next = from + size;
  return {
    users: behaviour.users.slice(from, next).map((person) => user(person, enums)),
    nextPageToken: behaviour.endless || next < behaviour.users.length ? tokenOf(behaviour, next, size) : '',
  };
}

function tokenOf({ repeatsPageToken }: Behaviour, next: number, size: number): string {
  return String(repeatsPageToken ? size : next);
}

function user(
  { email, state = 'active', account, namespaces = {}, customRoles = [] }: CloudPerson,
  enums: boolean,
): object {
  const [stateEnum, stateDeprecated] = said(state, STATES, enums);
  const [role, roleDeprecated] = said(account ?? 0, ROLES, enums);
  return {
    id: email,
    state: stateEnum,
    stateDeprecated,
    spec: {
      email,
      access: {
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
      },
    },
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

function method(
  name: CloudMethod,
  question: MessageType,
  answer: MessageType,
): MethodDefinition<object, object> {
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
