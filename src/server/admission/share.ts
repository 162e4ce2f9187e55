// How much of what a server has, bodies of one caller, of all who are refused or of strangers may take up.
import type { Principal } from '../../access/principal.js';
import { KeyholeError } from '../../errors.js';
import type { Limits } from '../limits.js';
import { callerName } from './caller-name.js';
import { overloaded } from './overloaded.js';

export interface Share {
  /** Bodies of one name share it. */
  readonly name: string;
  /** Places that bodies may keep which are still on their way. */
  readonly places: number;
  /** Further ones that wait for such a place, at most a second. */
  readonly waiting: number;
  /** Body bytes held at once. */
  readonly bytes: number;
  /** Of these, of bodies that are slow to come. */
  readonly slowBytes: number;
  /** What a body beyond it is refused with. */
  readonly exceeded: () => Error;
  /** What a slow body is refused with where those of all shares take up too much. */
  readonly crowdedOut: () => Error;
}

/** A body that may be sent at all always fits. */
export function shareOf(caller: Pick<Principal, 'issuer' | 'subject'>, limits: Limits): Share {
  const places = Math.ceil(limits.concurrency / 4);
  return {
    name: callerName(caller),
    places,
    waiting: places,
    bytes: Math.max(limits.bodyBytes, Math.floor(limits.heldBytes / 2)),
    slowBytes: Math.max(limits.bodyBytes, Math.floor(limits.heldBytes / 8)),
    crowdedOut: overloaded,
    exceeded: () =>
      new KeyholeError('rate_limited', 'too much of what you sent is still on its way: try again later'),
  };
}

/** Bodies of people without a right to what is in them keep nobody else waiting. */
export function shareOfRefused(refusal: Error, { concurrency, heldBytes }: Limits): Share {
  return {
    name: 'the refused',
    places: Math.ceil(concurrency / 4),
    waiting: 0,
    bytes: Math.floor(heldBytes / 4),
    slowBytes: Math.floor(heldBytes / 8),
    exceeded: () => refusal,
    crowdedOut: () => refusal,
  };
}

/** Nor do bodies of those whom nobody knows keep known people from being told what they lack. */
export function shareOfStrangers(refusal: Error, limits: Limits): Share {
  return { ...shareOfRefused(refusal, limits), name: 'strangers', bytes: Math.floor(limits.heldBytes / 8) };
}
