// The look of the few pages that are served here: plain HTML, no scripts, a strict content security policy.
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

/** Text that is HTML already. Made only by `html`. */
export interface Html {
  readonly html: string;
}

type Piece = Html | string | number | readonly Html[];

/** Builds HTML; whatever is interpolated is escaped unless it was built by `html` itself. */
export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const parts = strings.map(
    (text, index) => text + (index < pieces.length ? pieceOf(pieces[index] ?? '') : ''),
  );
  return { html: parts.join('') };
}

function pieceOf(piece: Piece): string {
  if (typeof piece === 'object') return 'html' in piece ? piece.html : piece.map((one) => one.html).join('');
  return String(piece).replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; --ink: #16181d; --soft: #5d6470; --line: #d9dce3; --edge: #808795; --paper: #ffffff; --ground: #f3f4f7; --mark: #3b4cca; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceef3; --soft: #9aa2b1; --line: #333945; --edge: #6c7585; --paper: #1b1f27; --ground: #12151b; --mark: #93a0ff; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: min(34rem, 100%); background: var(--paper); border: 1px solid var(--line); border-radius: 14px; padding: clamp(1.25rem, 5vw, 2.25rem); }
h1 { margin: 0 0 .75rem; font-size: 1.4rem; line-height: 1.25; }
h2 { margin: 1.75rem 0 .5rem; font-size: 1.1rem; overflow-wrap: anywhere; }
p { margin: 0 0 1.25rem; color: var(--soft); text-wrap: pretty; overflow-wrap: anywhere; }
p strong { color: var(--ink); }
a { color: var(--mark); }
form { margin: 0; }
button, a.button, input { display: block; width: 100%; margin: 0 0 .75rem; padding: .75rem 1rem; border: 1px solid var(--edge); border-radius: 10px; background: transparent; color: var(--ink); font: inherit; text-align: left; text-decoration: none; }
button, a.button { cursor: pointer; }
button:hover, a.button:hover { border-color: var(--mark); }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
button b, a.button b { display: block; }
button span, a.button span { display: block; color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
a.first { border-color: var(--mark); background: var(--mark); }
a.first b, a.first span { color: var(--paper); }
::placeholder { color: var(--soft); opacity: 1; }
label { display: block; margin: 1.5rem 0 .4rem; color: var(--soft); font-size: .9rem; }
.ask { display: grid; grid-template-columns: 1fr auto; gap: .5rem; }
.ask label { grid-column: 1 / -1; margin-bottom: 0; }
.ask input, .ask button { margin: 0; }
dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .35rem 1rem; margin: 0 0 1.25rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
main > :last-child { margin-bottom: 0; }
footer { display: flex; gap: 1.25rem; margin-top: 1.5rem; color: var(--soft); font-size: .9rem; }
footer button { width: auto; margin: 0; padding: .25rem 0; border: 0; color: var(--mark); text-decoration: underline; }
footer button:hover { text-decoration-thickness: 2px; }
code { font: .9em ui-monospace, monospace; }
`;
/** One piece: a formatter that put a space beside the text would make the hash wrong, and the page bare. */
const STYLE_ELEMENT: Html = { html: `<style>${STYLE}</style>` };
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

export interface PageOptions {
  readonly title: string;
  readonly body: Html;
  /** Origins, beside the page's own, that its forms may lead to, redirects included. */
  readonly formOrigins?: readonly string[];
}

/** The page's text. */
export function pageOf(options: PageOptions): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${options.title}</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <main>${options.body}</main>
      </body>
    </html> `.html;
}

export const PAGE_TYPE = 'text/html; charset=utf-8';

/** The headers that belong to it. */
export function pageHeaders(options: PageOptions): Record<string, string> {
  return {
    'content-type': PAGE_TYPE,
    ...pagePolicy(options),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
}

/** What a browser may do with it: show it, with the style above, in a window of its own, and send its forms. */
export function pagePolicy({ formOrigins = [] }: PageOptions): Record<string, string> {
  const targets = ["'self'", ...formOrigins].join(' ');
  return {
    'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`,
    'referrer-policy': 'same-origin', // with no-referrer, a form's Origin would be null
  };
}

/** Answers with a page. */
export function sendPage(response: ServerResponse, status: number, options: PageOptions): void {
  response.writeHead(status, pageHeaders(options)).end(pageOf(options));
}
