// What a source of roles would have logged, kept for sentences: who asks on a command line reads no log.
import { pino, type Logger } from 'pino';

/** One line of the log. */
interface Complaint {
  readonly message: string;
  /** What it is about; `reason` is why. */
  readonly fields: Readonly<Record<string, string | number>>;
}

export class Complaints {
  readonly #all: Complaint[] = [];
  readonly logger: Logger = pino({
    level: 'warn',
    hooks: {
      logMethod: ([fields, message]: readonly unknown[]) => {
        this.#all.push({ message: String(message), fields: fields as Complaint['fields'] });
      },
    },
  });

  /** One sentence each. */
  warnings(): string[] {
    return this.#all.map((complaint) => `warning: ${sentence(complaint)}`);
  }

  /** Why something could not be asked: what failed first. Empty where nothing says. */
  firstReason(): string[] {
    const found = this.#all.find(({ fields }) => fields['reason'] !== undefined);
    return found === undefined ? [] : [sentence(found)];
  }
}

function sentence({ message, fields: { reason, ...about } }: Complaint): string {
  const named = Object.entries(about).map(([name, value]) => `${name} ${String(value)}`);
  const told = named.length === 0 ? message : `${message} (${named.join(', ')})`;
  return reason === undefined ? told : `${told}: ${String(reason)}`;
}
