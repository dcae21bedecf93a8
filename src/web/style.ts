import { createHash } from 'node:crypto';

/** The style sheet of the pages. Each page includes it, so that a page is a single response. */
export const STYLE = `
:root { color-scheme: light dark; --back: #fbfbfa; --text: #1d2329; --soft: #5c6670; --line: #dfe3e6; --panel: #fff; --accent: #0b7285; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14181c; --text: #e4e8eb; --soft: #98a3ad; --line: #2c343b; --panel: #1b2126; --accent: #66c3d4; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.6 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 4rem 1.25rem 2rem; }
h1 { margin: 0; font-size: 2.25rem; letter-spacing: -0.02em; }
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.1rem; }
p { margin: 0.5rem 0; }
.lead { font-size: 1.2rem; color: var(--soft); }
ol { margin: 0; padding: 0; list-style: none; counter-reset: step; }
li { counter-increment: step; margin: 1.25rem 0; }
li::before { content: counter(step) ". "; color: var(--accent); font-weight: 600; }
pre { margin: 0.4rem 0 0; padding: 0.8rem 1rem; overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
code { font: 0.92rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: 0.85rem; }
a { color: var(--accent); }
`;

/** The Content-Security-Policy of the pages, which allows this style sheet and nothing else. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
