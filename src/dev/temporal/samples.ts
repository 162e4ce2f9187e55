// The sample workflows' inputs, and what of them must be seen in the clear, or nowhere.

/** Something that was sealed: how it is called in the table, and the text to look for. */
export interface Secret {
  readonly label: string;
  readonly text: string;
}

export interface Sample {
  readonly workflowType: 'greeting' | 'payment' | 'archive';
  readonly workflowId: string;
  readonly input: unknown;
  /** Whether the workflow ends in a failure. */
  readonly fails: boolean;
  readonly secret: Secret;
}

const MIB = 2 ** 20;
const LINE = 'a line of a document that nobody outside of this namespace should read\n';
const DOCUMENT = LINE.repeat(Math.ceil(MIB / LINE.length)).slice(0, MIB);

export const SAMPLES: readonly Sample[] = [
  {
    workflowType: 'greeting',
    workflowId: 'greeting',
    input: 'Temporal',
    fails: false,
    secret: { label: '"Hello, Temporal"', text: 'Hello, Temporal' },
  },
  {
    workflowType: 'payment',
    workflowId: 'payment-that-fails',
    input: { holder: 'Ada Lovelace' },
    fails: true,
    secret: { label: 'why the payment failed', text: 'the card of Ada Lovelace was declined' },
  },
  {
    workflowType: 'archive',
    workflowId: 'archive-of-1-mb',
    input: DOCUMENT,
    fails: false,
    secret: { label: '1 MB of input', text: JSON.stringify(DOCUMENT) },
  },
];
