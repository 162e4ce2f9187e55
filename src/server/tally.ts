// A counter with labels that costs an addition when counted and its labels only when it is read.
import type { Attributes, Meter } from '@opentelemetry/api';

interface Count {
  readonly attributes: Attributes;
  value: number;
}

export class Tally<Labels extends readonly string[]> {
  readonly #names: Labels;
  readonly #counts = new Map<string, Count>();

  constructor(meter: Meter, name: string, description: string, labels: Labels) {
    this.#names = labels;
    meter.createObservableCounter(name, { description }).addCallback((result) => {
      for (const { attributes, value } of this.#counts.values()) result.observe(value, attributes);
    });
  }

  /** `values` in the order of the labels; one of few each. */
  add(by: number, ...values: { readonly [K in keyof Labels]: string }): void {
    const key = values.join('\n');
    const count = this.#counts.get(key);
    if (count !== undefined) count.value += by;
    else this.#counts.set(key, { attributes: this.#attributes(values), value: by });
  }

  #attributes(values: readonly string[]): Attributes {
    return Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? '']));
  }
}
