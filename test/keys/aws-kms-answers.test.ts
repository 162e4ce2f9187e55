// Answers of AWS KMS that no emulator gives on demand: errors by name, and what cannot be right.
import { KMSServiceException } from '@aws-sdk/client-kms';
import { describe, expect, test } from 'vitest';
import { awsKms, type AwsKmsClient, type WrappingKey } from '../../src/index.js';
import { plantSecret } from '../streams.js';

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const MULTI = 'arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab';
const context = { namespace: 'orders.a1b2c', signal: new AbortController().signal };
const blob = Buffer.from('wrapped');

function keyThat(client: Partial<AwsKmsClient>, key?: string): WrappingKey {
  const unused = (): Promise<never> => Promise.reject(new Error('unused'));
  const whole = { generateDataKey: unused, decrypt: unused, ...client };
  return awsKms(key === undefined ? { client: whole } : { client: whole, key })('orders.a1b2c');
}

/** As the SDK makes them: the whole exchange hangs on it. */
function serviceError(name: string, headers: Record<string, string> = {}): Error {
  const error = new KMSServiceException({ name, message: 'said', $fault: 'client', $metadata: {} });
  return Object.assign(error, { $response: { headers, request: { headers: { signature: SIGNATURE } } } });
}

const SIGNATURE = plantSecret('signature and session token of a request');

describe('an error of AWS KMS', () => {
  test.each([
    ['AccessDeniedException', 'key_denied'],
    ['InvalidKeyUsageException', 'key_denied'],
    ['DisabledException', 'key_gone'],
    ['KMSInvalidStateException', 'key_gone'],
    ['NotFoundException', 'key_gone'],
    ['IncorrectKeyException', 'key_wrong'],
    ['InvalidCiphertextException', 'key_wrong_context'],
    ['ThrottlingException', 'key_throttled'],
    ['KMSInternalException', 'key_unavailable'],
    ['DependencyTimeoutException', 'key_unavailable'],
    ['KeyUnavailableException', 'key_unavailable'],
    ['ExpiredTokenException', 'key_unavailable'],
    ['CredentialsProviderError', 'key_unavailable'],
    ['TimeoutError', 'key_unavailable'],
  ])('%s is told as %s', async (name, code) => {
    const key = keyThat({ decrypt: () => Promise.reject(serviceError(name)) });
    const message = `AWS KMS answered ${name} for alias/orders_a1b2c`;
    await expect(key.unwrap(blob, ARN, context)).rejects.toMatchObject({ code, message, cause: { name } });
  });

  test('passes on how long the service asks to wait', async () => {
    const slowDown = serviceError('ThrottlingException', { 'retry-after': '7' });
    const key = keyThat({ generateDataKey: () => Promise.reject(slowDown) });
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });

  test('is kept as the cause without the request, whose signature and session token would reach a log', async () => {
    const key = keyThat({ decrypt: () => Promise.reject(serviceError('AccessDeniedException')) });
    const error: unknown = await key.unwrap(blob, ARN, context).catch((thrown: unknown) => thrown);
    const { cause } = error as Error;
    expect(Object.keys(cause as Error)).toEqual(['name']);
    expect(cause).toMatchObject({ message: 'said' });
  });
});

describe('an answer of AWS KMS that cannot be right', () => {
  test.each([
    ['no key id', { Plaintext: Buffer.alloc(32, 7), CiphertextBlob: blob }],
    ['an alias for a key id', { KeyId: 'alias/a', Plaintext: Buffer.alloc(32, 7), CiphertextBlob: blob }],
    ['no wrapped key', { KeyId: ARN, Plaintext: Buffer.alloc(32, 7) }],
    ['no data key', { KeyId: ARN, CiphertextBlob: blob }],
    [
      'a key id that is a list',
      { KeyId: [ARN] as never, Plaintext: Buffer.alloc(32, 7), CiphertextBlob: blob },
    ],
  ])('to GenerateDataKey, %s, is refused, its data key zeroed', async (_, answer) => {
    const key = keyThat({ generateDataKey: () => Promise.resolve(answer) });
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_answer_invalid' });
    expect('Plaintext' in answer && answer.Plaintext.some((byte) => byte !== 0)).toBe(false);
  });

  test.each([
    ['no key id', { Plaintext: Buffer.alloc(32, 7) }, 'key_answer_invalid'],
    ['no data key', { KeyId: ARN }, 'key_answer_invalid'],
    ['another key', { KeyId: `${ARN}0`, Plaintext: Buffer.alloc(32, 7) }, 'key_wrong'],
  ])('to Decrypt, %s, is refused, its data key zeroed', async (_, answer, code) => {
    const key = keyThat({ decrypt: () => Promise.resolve(answer) });
    await expect(key.unwrap(blob, ARN, context)).rejects.toMatchObject({ code });
    expect('Plaintext' in answer && answer.Plaintext.some((byte) => byte !== 0)).toBe(false);
  });

  test('whose data key is no bytes is refused: the SDK hands over what JSON said', async () => {
    const answer = { KeyId: ARN, Plaintext: { length: 32 } as never, CiphertextBlob: blob };
    const key = keyThat({
      generateDataKey: () => Promise.resolve(answer),
      decrypt: () => Promise.resolve(answer),
    });
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_answer_invalid' });
    await expect(key.unwrap(blob, ARN, context)).rejects.toMatchObject({ code: 'key_answer_invalid' });
  });

  test('to Decrypt names a replica in another Region: that is the same key', async () => {
    const replica = MULTI.replace('eu-central-1', 'us-east-1');
    const key = keyThat({ decrypt: () => Promise.resolve({ KeyId: replica, Plaintext: Buffer.alloc(32) }) });
    expect(await key.unwrap(blob, MULTI, context)).toMatchObject({ keyId: replica });
  });
});

describe('a key id that a payload names', () => {
  test.each([
    ['alias/orders_a1b2c', ARN, 'maybe'],
    ['alias/orders_a1b2c', 'alias/orders_a1b2c', 'no'],
    ['alias/orders_a1b2c', 'arn:aws:s3:eu-central-1:111122223333:key/x', 'no'],
    [ARN, ARN, 'yes'],
    [ARN, `${ARN}0`, 'no'],
    [ARN, ARN.replace('eu-central-1', 'us-east-1'), 'no'],
    [MULTI, MULTI.replace('eu-central-1', 'us-east-1'), 'yes'],
    [MULTI, MULTI.replace('111122223333', '999999999999'), 'no'],
    ['1234abcd-12ab-34cd-56ef-1234567890ab', ARN, 'yes'],
    ['34cd-56ef-1234567890ab', ARN, 'no'],
  ])('under the configured key %s: does it hold %s? %s', (configured, keyId, answer) => {
    expect(keyThat({}, configured).holds(keyId)).toBe(answer);
  });
});
