import { Router, type Request } from 'express';
import { escapeHtml } from './html.ts';
import { CONTENT_SECURITY_POLICY, STYLE } from './style.ts';

/** What the pages are about. */
export interface PagesParts {
  /** How people reach the service; taken from the request if undefined. */
  readonly publicUrl?: string | undefined;
  /** The first parts of private module paths, such as `gitlab.example`. */
  readonly privatePrefixes: readonly string[];
  /** The version of modpress. */
  readonly version: string;
}

/** The pages for people. */
export function createPagesRouter(parts: PagesParts): Router {
  const router = Router();
  router.get('/', (request, response) => {
    response.set({
      'Content-Security-Policy': CONTENT_SECURITY_POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      // The page shows the address under which it was asked for.
      'Cache-Control': parts.publicUrl === undefined ? 'no-store' : 'no-cache',
    });
    response.type('html').send(homePage({ ...parts, publicUrl: parts.publicUrl ?? urlOf(request) }));
  });
  return router;
}

/** The start page: what this is, and what a developer types. */
function homePage({ publicUrl, privatePrefixes, version }: PagesParts & { publicUrl: string }): string {
  const [prefix = 'gitlab.example'] = privatePrefixes;
  const patterns = (privatePrefixes.length === 0 ? [prefix] : privatePrefixes).map((each) => `${each}/*`).join(',');
  return page(
    'modpress',
    `<h1>modpress</h1>
<p class="lead">Push a tag, get a module: a Go module proxy for everything under <code>${escapeHtml(prefix)}</code>, and for the rest of the world.</p>
<h2>On your machine</h2>
<ol>
${step('Fetch modules from here', `go env -w GOPROXY=${publicUrl.replace(/\/+$/, '')}`)}
${step('Keep private module paths to yourself', `go env -w GONOSUMDB=${patterns}`)}
${step('Use a module', `go get ${prefix}/group/project@latest`)}
</ol>
<p>That is all: no git, no SSH keys, no <code>.netrc</code> entry for the Git host.</p>
<h2>To publish one</h2>
<p>Push a tag that is a version. Seconds later it can be fetched here.</p>
<pre><code>git tag v1.2.3 &amp;&amp; git push origin v1.2.3</code></pre>
<footer>modpress ${escapeHtml(version)}</footer>`,
  );
}

function step(title: string, command: string): string {
  return `<li>${escapeHtml(title)}<pre><code>${escapeHtml(command)}</code></pre></li>`;
}

function page(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${main}
</main>
</body>
</html>
`;
}

/** From the Host header, or from X-Forwarded-* where the application trusts its proxy: express sees to that. */
function urlOf(request: Request): string {
  const host = request.host;
  // What is shown here is typed into a shell.
  return /^[A-Za-z0-9.-]+(?::[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?$/.test(host ?? '')
    ? `${request.protocol}://${host}`
    : 'https://modpress.example';
}
