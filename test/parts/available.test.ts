// What a test does without a part it needs: it is skipped with the line that installs it, and fails in CI.
import { afterEach, beforeEach, describe, expect, test, vi, type TestContext } from 'vitest';
import { part, requirePart } from './available.js';

beforeEach(() => {
  vi.stubEnv('KEYHOLE_PARTS', '/nowhere');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** A test’s context that notes what it is skipped with. */
function contextOf(): { context: TestContext; notes: unknown[] } {
  const notes: unknown[] = [];
  const skip = (note: unknown) => {
    notes.push(note);
    throw new Error('skipped');
  };
  return { context: { skip } as unknown as TestContext, notes };
}

describe('a part that is missing', () => {
  test('is undefined', () => {
    expect(part('moto')).toBeUndefined();
  });

  test('skips a test that needs it, with the line that installs it', () => {
    vi.stubEnv('CI', '');
    const { context, notes } = contextOf();
    expect(() => requirePart(context, 'moto', 'ui-server')).toThrow('skipped');
    expect(notes).toEqual(['needs moto and ui-server: npm run parts -- moto ui-server']);
  });

  test('fails a test that needs it in CI', () => {
    vi.stubEnv('CI', 'true');
    const { context, notes } = contextOf();
    expect(() => requirePart(context, 'moto')).toThrow('needs moto: npm run parts -- moto');
    expect(notes).toEqual([]);
  });
});

test('a part that is there is answered by its path', () => {
  vi.stubEnv('CHROMIUM', process.execPath);
  expect(requirePart(contextOf().context, 'chromium')).toEqual({ chromium: process.execPath });
});
