// A counter with labels that costs an addition when counted and its labels only when it is read.
import type { Attributes, Meter } from '@opentelemetry/api';

interface Count {
  readonly attributes: Attributes;
  value: number;
}

export class Tally<Labels extends readonly string[]> {
  readonly #names: Labels;
  readonly #counts = new Map<string, Count>();
  /** Payloads of a request mostly count alike: joining the labels anew for each costs more than counting. */
  #last: { readonly values: readonly string[]; readonly count: Count } | undefined;

  constructor(meter: Meter, name: string, description: string, labels: Labels) {
    this.#names = labels;
    meter.createObservableCounter(name, { description }).addCallback((result) => {
      for (const { attributes, value } of this.#counts.values()) result.observe(value, attributes);
    });
  }

  /** `values` in the order of the labels; one of few each. */
  add(by: number, ...values: { readonly [K in keyof Labels]: string }): void {
    if (this.#last === undefined || !sameTexts(this.#last.values, values))
      this.#last = { values, count: this.#countOf(values) };
    this.#last.count.value += by;
  }

  #countOf(values: readonly string[]): Count {
    const key = values.join('\n');
    const count = this.#counts.get(key) ?? { attributes: this.#attributes(values), value: 0 };
    this.#counts.set(key, count);
    return count;
  }

  #attributes(values: readonly string[]): Attributes {
    return Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? '']));
  }
}

function sameTexts(some: readonly string[], others: readonly string[]): boolean {
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  return true;
}
