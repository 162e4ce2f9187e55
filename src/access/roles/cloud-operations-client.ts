// The calls of Temporal's Cloud Operations API that tell roles, over gRPC.
import {
  Client,
  credentials,
  Metadata,
  status,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import proto from '@temporalio/proto';
import { straightTo, type Channel } from '../outgoing/connecting.js';
import type { ApiKey } from './api-key.js';
import { seesAccessOfOthers, type CloudAssignment, type CloudGroup, type CloudUser } from './cloud-access.js';
import { cloudAccess, cloudAssignment, cloudGroup, cloudUser } from './cloud-rows.js';
import { isWorthRepeating, OperationsError } from './operations-error.js';
import type { Lane, RequestBudget } from './request-budget.js';

/** The lists there are, and what a row of each is. */
export interface CloudLists {
  users: CloudUser;
  groups: CloudGroup;
  /** Ids of users; of a group. */
  members: string;
  /** Users with access to a namespace. */
  userAssignments: CloudAssignment;
  /** Groups with access to a namespace. */
  groupAssignments: CloudAssignment;
}

export interface PageQuestion {
  /** Id of the group, or name of the namespace; empty for `users` and `groups`. */
  readonly of: string;
  /** Empty for the first page. */
  readonly pageToken: string;
  readonly lane: Lane;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** What asks the API; a seam for tests. */
export interface CloudOperations {
  /** @throws OperationsError */
  page<L extends keyof CloudLists>(
    list: L,
    question: PageQuestion,
    signal: AbortSignal,
  ): Promise<Page<CloudLists[L]>>;
  /** Id of the account that our key belongs to. @throws OperationsError */
  accountId(signal: AbortSignal): Promise<string>;
  /** Whether our key is an Account Owner's or Global Admin's: others are not told whose access is what. @throws OperationsError */
  seesAccess(signal: AbortSignal): Promise<boolean>;
  close(): void;
}

export interface CloudOperationsClientOptions {
  /** `host:port`; always TLS. */
  readonly address: string;
  /** Sent as `temporal-cloud-api-version`. */
  readonly apiVersion: string;
  readonly apiKey: ApiKey;
  /** PEM of a private CA in front of the API. Default is grpc-js's own list. */
  readonly ca: string | undefined;
  /** The way to `address`. Default is straight. */
  readonly channel?: Channel | undefined;
  readonly budget: RequestBudget;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Between 0 and 1. */
  readonly random: () => number;
}

const { cloudservice } = proto.temporal.api.cloud;
const SERVICE = '/temporal.api.cloud.cloudservice.v1.CloudService';
const PAGE_SIZE = 1_000;
const DEADLINE_MS = 3_000;
const TRIES = 3;
const BACK_OFF_MS = [500, 1_500] as const;
/** A page of 1000 people with many namespaces each is larger than grpc-js's default of 4 MiB. */
const MAX_ANSWER_BYTES = 32 << 20;

/** One method: its name, and how question and answer are written. */
interface Method<Question, Answer> {
  readonly name: string;
  readonly write: (question: Question) => Buffer;
  readonly read: (bytes: Buffer) => Answer;
}

type ListMethods = { readonly [L in keyof CloudLists]: Method<PageQuestion, Page<CloudLists[L]>> };

interface MessageType<Question, Answer> {
  readonly question: { encode(question: Question): { finish(): Uint8Array } };
  readonly answer: { decode(bytes: Uint8Array): Answer };
}

function method<Asked, Answered, Question, Answer>(
  name: string,
  { question, answer }: MessageType<Asked, Answered>,
  ask: (question: Question) => Asked,
  read: (answer: Answered) => Answer,
): Method<Question, Answer> {
  return {
    name,
    write: (wanted) => Buffer.from(question.encode(ask(wanted)).finish()),
    read: (bytes) => read(answer.decode(bytes)),
  };
}

const { v1 } = cloudservice;

/** No filters: what is asked for by name is looked for in the whole list. */
const LISTS: ListMethods = {
  users: method(
    'GetUsers',
    { question: v1.GetUsersRequest, answer: v1.GetUsersResponse },
    ({ pageToken }: PageQuestion) => ({ pageSize: PAGE_SIZE, pageToken }),
    ({ users, nextPageToken }) => ({ rows: users.map(cloudUser), nextPageToken }),
  ),
  groups: method(
    'GetUserGroups',
    { question: v1.GetUserGroupsRequest, answer: v1.GetUserGroupsResponse },
    ({ pageToken }: PageQuestion) => ({ pageSize: PAGE_SIZE, pageToken }),
    ({ groups, nextPageToken }) => ({ rows: groups.map(cloudGroup), nextPageToken }),
  ),
  members: method(
    'GetUserGroupMembers',
    { question: v1.GetUserGroupMembersRequest, answer: v1.GetUserGroupMembersResponse },
    ({ of, pageToken }: PageQuestion) => ({ groupId: of, pageSize: PAGE_SIZE, pageToken }),
    ({ members, nextPageToken }) => ({
      rows: members.map(({ memberId }) => memberId?.userId ?? ''),
      nextPageToken,
    }),
  ),
  userAssignments: method(
    'GetUserNamespaceAssignments',
    { question: v1.GetUserNamespaceAssignmentsRequest, answer: v1.GetUserNamespaceAssignmentsResponse },
    ({ of, pageToken }: PageQuestion) => ({ namespace: of, pageSize: PAGE_SIZE, pageToken }),
    ({ users, nextPageToken }) => ({ rows: users.map(cloudAssignment), nextPageToken }),
  ),
  groupAssignments: method(
    'GetUserGroupNamespaceAssignments',
    {
      question: v1.GetUserGroupNamespaceAssignmentsRequest,
      answer: v1.GetUserGroupNamespaceAssignmentsResponse,
    },
    ({ of, pageToken }: PageQuestion) => ({ namespace: of, pageSize: PAGE_SIZE, pageToken }),
    ({ groups, nextPageToken }) => ({ rows: groups.map(cloudAssignment), nextPageToken }),
  ),
};

const GET_ACCOUNT = method(
  'GetAccount',
  { question: v1.GetAccountRequest, answer: v1.GetAccountResponse },
  (none: object) => none,
  ({ account }) => account?.id ?? '',
);

const GET_CURRENT_IDENTITY = method(
  'GetCurrentIdentity',
  { question: v1.GetCurrentIdentityRequest, answer: v1.GetCurrentIdentityResponse },
  (none: object) => none,
  ({ user, serviceAccount }) =>
    seesAccessOfOthers(cloudAccess(user?.spec?.access ?? serviceAccount?.spec?.access)),
);

export class CloudOperationsClient implements CloudOperations {
  readonly #options: CloudOperationsClientOptions;
  #client: Client | undefined;

  constructor(options: CloudOperationsClientOptions) {
    this.#options = options;
  }

  page<L extends keyof CloudLists>(
    list: L,
    question: PageQuestion,
    signal: AbortSignal,
  ): Promise<Page<CloudLists[L]>> {
    return this.#ask(LISTS[list], question, signal, question.lane);
  }

  accountId(signal: AbortSignal): Promise<string> {
    return this.#ask(GET_ACCOUNT, {}, signal);
  }

  seesAccess(signal: AbortSignal): Promise<boolean> {
    return this.#ask(GET_CURRENT_IDENTITY, {}, signal);
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** At most three tries, each from the budget, with full jitter between them. */
  async #ask<Q, A>(
    method: Method<Q, A>,
    question: Q,
    signal: AbortSignal,
    lane: Lane = 'in-use',
  ): Promise<A> {
    const { budget, pause, random } = this.#options;
    for (let tried = 1; ; tried += 1) {
      await budget.take(signal, lane);
      try {
        return await this.#askOnce(method, question, signal);
      } catch (error) {
        const backOffMs = BACK_OFF_MS[tried - 1];
        if (tried === TRIES || backOffMs === undefined || !isWorthRepeating(error)) throw error;
        await pause(backOffMs * random(), signal);
      }
    }
  }

  async #askOnce<Q, A>({ name, write, read }: Method<Q, A>, question: Q, signal: AbortSignal): Promise<A> {
    const path = `${SERVICE}/${name}`;
    const apiKey = await this.#options.apiKey();
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${apiKey}`);
    metadata.set('temporal-cloud-api-version', this.#options.apiVersion);
    const client = (this.#client ??= this.#connect());
    return new Promise<A>((resolve, reject) => {
      const callOptions = { deadline: Date.now() + DEADLINE_MS, interceptors: [] };
      const call: ClientUnaryCall = client.makeUnaryRequest(
        path,
        write,
        read,
        question,
        metadata,
        callOptions,
        (error, answer) => {
          signal.removeEventListener('abort', cancel);
          if (error?.code === status.DEADLINE_EXCEEDED) this.#forget(client);
          if (error !== null) reject(operationsError(error, path, apiKey));
          else if (answer === undefined) reject(new OperationsError('INTERNAL', `${path} answered nothing`));
          else resolve(answer);
        },
      );
      const cancel = (): void => {
        call.cancel();
      };
      if (signal.aborted) cancel();
      else signal.addEventListener('abort', cancel);
    });
  }

  /** A half-open connection looks like a slow API: after a call without an answer the next opens another one. */
  #forget(client: Client): void {
    client.close();
    if (this.#client === client) this.#client = undefined;
  }

  #connect(): Client {
    const { address, ca, channel = straightTo(address) } = this.#options;
    return new Client(channel.address, credentials.createSsl(ca === undefined ? null : Buffer.from(ca)), {
      ...channel.options,
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.min_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.use_local_subchannel_pool': 1,
    });
  }
}

/** The service's text may help whoever reads the log; our key is taken out of it, should it be there. */
function operationsError({ code, details }: ServiceError, path: string, apiKey: string): OperationsError {
  const text = details.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(apiKey, '…');
  return new OperationsError(status[code], `${path}: ${status[code]}: ${text.slice(0, 200)}`);
}
