// The values that the workflow `everything` sends through Temporal, one for each way.

/** Where a value travels. */
export const WAYS = [
  'result',
  'activityInput',
  'activityResult',
  'localActivityInput',
  'localActivityResult',
  'childInput',
  'childMemo',
  'laterMemo',
  'queryResult',
  'updateResult',
] as const;

export type Everything = Record<(typeof WAYS)[number], string>;
