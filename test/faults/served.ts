// A codec server beside which something fails: asked, timed, and what record and metrics say of the answer.
import { expect, vi } from 'vitest';
import type { Payload } from '@temporalio/common';
import { createMetrics } from '../../src/server/telemetry/metrics.js';
import {
  bodyOf,
  startServer,
  textOf,
  type Answer,
  type RunningServer,
  type StartOptions,
} from '../server/running-server.js';
import { keepStream } from '../streams.js';

/** No caller waits longer for the parts we ask and for the record, and a little for the answer itself. */
const CALLER_WAITS_MS = 5_000 + 2_000 + 500;
const RECOVERY_MS = 5_000;

export const NO_ADDRESS = 'of-nobody.invalid';

/** One request that somebody asks again and again. */
export interface Question {
  readonly namespace: string;
  readonly payload: Payload;
  /** The plaintext. */
  readonly text: string;
  readonly headers?: Record<string, string>;
}

export class Served {
  readonly running: RunningServer;
  readonly #metrics: string;
  readonly stop: () => Promise<void>;

  private constructor(running: RunningServer, metrics: string, stop: () => Promise<void>) {
    this.running = running;
    this.#metrics = metrics;
    this.stop = stop;
  }

  static async start(options: StartOptions = {}): Promise<Served> {
    const metrics = createMetrics();
    const { url } = await metrics.listen({ host: '127.0.0.1', port: 0 });
    const running = await startServer({ ...options, metrics });
    return new Served(running, url, async () => {
      await running.stop();
      await metrics.close();
    });
  }

  ask({ namespace, payload, headers = {} }: Question): Promise<Answer> {
    return this.running.ask('/decode', { as: 'admin', namespace, body: bodyOf(payload), headers });
  }

  async expectPlaintext(question: Question): Promise<void> {
    const answer = await this.ask(question);
    expect([answer.status, textOf(answer.payloads()[0])]).toEqual([200, question.text]);
  }

  /** In time, with Retry-After, counted, on record where `onRecord`, and without a byte of the plaintext. */
  async expectUnavailable(code: string, question: Question, onRecord: boolean): Promise<void> {
    const startedMs = performance.now();
    const answer = await this.ask(question);
    expect(performance.now() - startedMs).toBeLessThan(CALLER_WAITS_MS);
    expect([answer.status, answer.code()]).toEqual([503, code]);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(answer.body.toString()).not.toContain(question.text);
    const recorded = this.running.audit.events.filter(
      ({ requestId }) => requestId === answer.headers['x-request-id'],
    );
    expect(recorded.map(({ status, outcome }) => [status, outcome])).toEqual(onRecord ? [[503, code]] : []);
    expect(await this.#page()).toMatch(
      new RegExp(`^keyhole_requests_total\\{route="decode",status="503",code="${code}"\\S*\\} [1-9]`, 'm'),
    );
  }

  /** From the repair on. */
  async expectRecovery(question: Question): Promise<void> {
    const options = { timeout: RECOVERY_MS, interval: 200 };
    await vi.waitUntil(async () => (await this.ask(question)).status === 200, options);
    await this.expectPlaintext(question);
  }

  async #page(): Promise<string> {
    const text = await (await fetch(this.#metrics)).text();
    keepStream('faults-metrics', text);
    return text;
  }
}
