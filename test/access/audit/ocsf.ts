// Holds a record against OCSF's own definitions: names, types, enumerations, what is required, what constrains.
import { readFileSync } from 'node:fs';

interface Attribute {
  readonly type: string;
  readonly requirement: string;
  readonly array?: boolean;
  readonly enum?: readonly (number | string)[];
}
interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly at_least_one?: readonly string[];
}
interface Scalar {
  readonly type?: string;
  readonly regex?: string;
  readonly max_len?: number;
}
interface Schema {
  readonly version: string;
  readonly types: Readonly<Record<string, Scalar>>;
  readonly class: Shape;
  readonly objects: Readonly<Record<string, Shape>>;
}

/** Datastore Activity, with the types and most objects of both. */
const SCHEMA = read('ocsf-datastore-activity.json') as Schema;
const AUTHENTICATION = read('ocsf-authentication.json') as Pick<Schema, 'class' | 'objects'>;
const CLASSES: ReadonlyMap<unknown, Shape> = new Map([
  [6005, SCHEMA.class],
  [3002, AUTHENTICATION.class],
]);
const OBJECTS = { ...SCHEMA.objects, ...AUTHENTICATION.objects };

function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
}

/** Everything about a record that is not as OCSF 1.8 defines its class, 6005 or 3002, with its path. */
export function ocsfMistakes(record: unknown): string[] {
  const { class_uid, activity_id, type_uid, metadata } = record as Record<string, unknown>;
  const shape = CLASSES.get(class_uid);
  if (shape === undefined) return ['class_uid: not of its enum'];
  const mistakes = mistakesOf(record, shape, '');
  if (type_uid !== Number(class_uid) * 100 + Number(activity_id))
    mistakes.push('type_uid: not of the activity');
  if ((metadata as { version?: unknown } | undefined)?.version !== SCHEMA.version)
    mistakes.push('metadata.version: another');
  return mistakes;
}

function mistakesOf(value: unknown, { attributes, at_least_one }: Shape, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [`${path}: no object`];
  const given = value as Record<string, unknown>;
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(attributes, name));
  const missing = Object.entries(attributes)
    .filter(([name, { requirement }]) => requirement === 'required' && !(name in given))
    .map(([name]) => name);
  const constrained = at_least_one === undefined || at_least_one.some((name) => name in given);
  return [
    ...unknown.map((name) => `${path}${name}: unknown`),
    ...missing.map((name) => `${path}${name}: missing`),
    ...(constrained ? [] : [`${path}: none of ${at_least_one.join(', ')}`]),
    ...Object.entries(attributes).flatMap(([name, attribute]) =>
      name in given ? attributeMistakes(given[name], attribute, `${path}${name}`) : [],
    ),
  ];
}

function attributeMistakes(value: unknown, attribute: Attribute, path: string): string[] {
  if (attribute.array !== true) return valueMistakes(value, attribute, path);
  if (!Array.isArray(value)) return [`${path}: no list`];
  return value.flatMap((item, index) => valueMistakes(item, attribute, `${path}[${index}]`));
}

function valueMistakes(value: unknown, { type, enum: values }: Attribute, path: string): string[] {
  if (values !== undefined && !values.includes(value as number | string)) return [`${path}: not of its enum`];
  if (type === 'object') return typeof value === 'object' && value !== null ? [] : [`${path}: no object`];
  const shape = OBJECTS[type];
  if (shape !== undefined) return mistakesOf(value, shape, `${path}.`);
  return isScalar(value, type) ? [] : [`${path}: no ${type}`];
}

function isScalar(value: unknown, name: string): boolean {
  const { type = name, regex, max_len = Infinity } = SCHEMA.types[name] ?? {};
  switch (type) {
    case 'string_t':
      return (
        typeof value === 'string' &&
        value.length <= max_len &&
        (regex === undefined || new RegExp(regex).test(value))
      );
    case 'integer_t':
    case 'long_t':
      return Number.isSafeInteger(value);
    case 'boolean_t':
      return typeof value === 'boolean';
    default:
      return false;
  }
}
