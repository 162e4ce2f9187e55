// The look of our pages: what a browser is allowed to do with them, and whether people can see it.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { html, pageOf, pagePolicy } from '../../../src/server/pages/page.js';

const PAGE = { title: 'A & B', body: html`<h1>${'<script>alert("1\'")</script>'}</h1>` };
const STYLE = /<style>(.*)<\/style>/s.exec(pageOf(PAGE))?.[1] ?? '';

test('what is filled in is text, whatever it looks like', () => {
  expect(pageOf(PAGE)).toContain('<title>A &#38; B</title>');
  expect(pageOf(PAGE)).toContain('&#60;script&#62;alert(&#34;1&#39;&#34;)&#60;/script&#62;');
  expect(pageOf(PAGE)).not.toContain('<script');
});

test('a browser shows it with its style, sends its forms to this origin, and does nothing else', () => {
  const hash = createHash('sha256').update(STYLE).digest('base64');
  expect(pagePolicy(PAGE)['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  );
});

/** The colours by name, of the light or of the dark scheme. */
function palette(scheme: 'light' | 'dark'): (name: string) => string {
  const roots = [...STYLE.matchAll(/:root \{([^}]*)\}/g)].map(([, text = '']) => text);
  const text = roots[scheme === 'light' ? 0 : 1] ?? '';
  return (name) => new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(text)?.[1] ?? '';
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

describe.each(['light', 'dark'] as const)('in the %s scheme', (scheme) => {
  const colour = palette(scheme);

  test.each(['ink', 'soft', 'mark'])('%s text can be read (WCAG 2.2, 1.4.3)', (name) => {
    expect(contrast(colour(name), colour('paper'))).toBeGreaterThanOrEqual(4.5);
  });

  test.each(['edge', 'mark'])('the %s of a control can be seen (WCAG 2.2, 1.4.11)', (name) => {
    expect(contrast(colour(name), colour('paper'))).toBeGreaterThanOrEqual(3);
  });
});
