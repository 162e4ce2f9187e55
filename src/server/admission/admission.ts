// How much this server has on its hands: requests in flight, requests that wait, body bytes held.
import { MAX_PAUSED, REFUSAL_PAUSE_MS, SLOW_BODY_MS, type Limits } from '../limits.js';
import { isThereWithin } from './is-there-within.js';
import { overloaded } from './overloaded.js';
import { Places, type Place } from './places.js';
import type { Share } from './share.js';
import { ShortTurns } from './short-turns.js';
import { Waits } from './waits.js';

/** One request's body, as far as it is here. */
export interface HeldBody {
  readonly share: Share;
  bytes: number;
  /** All of it has left the socket. */
  isWhole: boolean;
  /** Its request lends its place until it is there. */
  isSlow: boolean;
}

/** Of one share, what is in use. */
interface Taken {
  readonly places: Places;
  bytes: number;
  slowBytes: number;
}

/** One instance a server; the limits come with each call, so that a reload changes them. */
export class Admission {
  /** Of the requests in flight, those that wait for others. */
  readonly waits = new Waits();
  readonly #places = new Places();
  readonly #turns = new ShortTurns();
  readonly #taken = new Map<string, Taken>();
  #heldBytes = 0;
  /** Of what is held, bodies that are slow to come. */
  readonly #slow = { bodies: 0, bytes: 0 };
  /** Requests that wait to be refused. */
  #paused = 0;
  /** Requests that wait for their record. */
  #atRecord = 0;

  get levels(): { readonly inFlight: number; readonly waiting: number; readonly heldBytes: number } {
    const { taken: inFlight, waiting } = this.#places;
    return { inFlight, waiting, heldBytes: this.#heldBytes };
  }

  /** To be told of each connection: while they come, work begins a little at a time, or they would wait for it. */
  connected(): void {
    this.#turns.connected();
  }

  /**
   * Does `work` in a place, waiting for one at most a second, whether or not its answer is taken. Where there is no room
   * even to wait, the refusal comes half a second later, unless very many wait for theirs.
   *
   * @param onRefusal - called where there is none, before that: nothing of the request need be kept.
   * @throws KeyholeError `overloaded`; what `work` throws.
   */
  async during<T>(
    { concurrency, waiting }: Limits,
    work: (place: Place) => Promise<T>,
    onRefusal?: () => void,
  ): Promise<T> {
    const count = { places: concurrency, waiting, full: overloaded };
    if (!this.#places.hasRoom(count)) {
      onRefusal?.();
      await this.#pauseRefusal();
      throw overloaded();
    }
    return await this.#places.during(count, async (place) => {
      await this.#turns.mayBegin();
      return await work(place);
    });
  }

  /** Does the last work of a request, its record; `moreSoon` tells whether others are about to come to theirs. */
  async whileRecorded(record: (moreSoon: () => boolean) => Promise<void>): Promise<void> {
    this.#atRecord += 1;
    try {
      await record(() => this.#places.taken > this.waits.count + this.#atRecord);
    } finally {
      this.#atRecord -= 1;
    }
  }

  /** A client that asks again at once, as many do, costs less the later it is refused. */
  async #pauseRefusal(): Promise<void> {
    if (this.#paused >= MAX_PAUSED) return;
    this.#paused += 1;
    await new Promise((resolve) => setTimeout(resolve, REFUSAL_PAUSE_MS));
    this.#paused -= 1;
  }

  /**
   * Waits for a body that is still on its way, in one of the places of its share. One that is slow to come lends the
   * request's own `place` to others until it is there.
   *
   * @throws what the share says where none of its places is free in time, or slow bodies take up too much; what `arrival`
   * throws; KeyholeError `overloaded`, where the request's place is not free again in time.
   */
  async whileArriving<T>(
    place: Place,
    body: HeldBody,
    limits: Limits,
    arrival: () => Promise<T>,
  ): Promise<T> {
    const { share } = body;
    const { places } = this.#takenOf(share);
    const count = { places: share.places, waiting: share.waiting, full: share.exceeded };
    const arrived = places.during(count, arrival).finally(() => {
      this.#forgetUnused(share);
    });
    if (await isThereWithin(SLOW_BODY_MS, arrived)) return await arrived;
    if (await isThereWithin(0, arrived)) return await arrived; // where the loop stood still, timers came first
    this.#becomesSlow(body, limits, arrived);
    try {
      return await place.lendUntil(arrived);
    } finally {
      this.#isSlowNoMore(body);
    }
  }

  /** Slow bodies leave half of the connections and of the bytes to others. */
  #becomesSlow(body: HeldBody, { connections, heldBytes }: Limits, arrived: Promise<unknown>): void {
    const isCrowded = this.#slow.bodies >= Math.ceil(connections / 2);
    const refusal = isCrowded ? body.share.crowdedOut() : this.#excessOfSlow(body, body.bytes, heldBytes);
    if (refusal !== undefined) {
      arrived.catch(() => undefined); // nobody waits for it any more
      throw refusal;
    }
    body.isSlow = true;
    this.#slow.bodies += 1;
    this.#countSlow(body, body.bytes);
  }

  #isSlowNoMore(body: HeldBody): void {
    body.isSlow = false;
    this.#slow.bodies -= 1;
    this.#countSlow(body, -body.bytes);
    this.#forgetUnused(body.share);
  }

  #excessOfSlow({ share }: HeldBody, bytes: number, heldBytes: number): Error | undefined {
    if (this.#takenOf(share).slowBytes + bytes > share.slowBytes) return share.exceeded();
    return this.#slow.bytes + bytes > heldBytes / 2 ? share.crowdedOut() : undefined;
  }

  #countSlow({ share }: HeldBody, bytes: number): void {
    this.#takenOf(share).slowBytes += bytes;
    this.#slow.bytes += bytes;
  }

  /** @throws KeyholeError `overloaded`; what the body's share says. Then nothing more is held. */
  hold(body: HeldBody, bytes: number, { heldBytes }: Limits): void {
    const { share, isSlow, isWhole } = body;
    if (this.#heldBytes + bytes > heldBytes) throw overloaded();
    const taken = this.#takenOf(share);
    if (taken.bytes + bytes > share.bytes) throw share.exceeded();
    const refusal = isSlow && !isWhole ? this.#excessOfSlow(body, bytes, heldBytes) : undefined;
    if (refusal !== undefined) throw refusal;
    this.#count(body, bytes);
  }

  release(body: HeldBody): void {
    this.#count(body, -body.bytes);
    this.#forgetUnused(body.share);
  }

  #count(body: HeldBody, bytes: number): void {
    body.bytes += bytes;
    this.#takenOf(body.share).bytes += bytes;
    this.#heldBytes += bytes;
    if (body.isSlow) this.#countSlow(body, bytes);
  }

  #takenOf({ name }: Share): Taken {
    const taken = this.#taken.get(name) ?? { places: new Places(), bytes: 0, slowBytes: 0 };
    this.#taken.set(name, taken);
    return taken;
  }

  #forgetUnused({ name }: Share): void {
    const taken = this.#taken.get(name);
    if (taken?.places.unused === true && taken.bytes === 0) this.#taken.delete(name);
  }
}
