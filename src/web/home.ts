import { Router, type Request } from 'express';
import { escapeHtml } from './html.ts';
import { CONTENT_SECURITY_POLICY, STYLE } from './style.ts';

/** The values that the start page shows. */
export interface HomeParts {
  /** The public URL of the service. If undefined, it is taken from the request. */
  readonly publicUrl?: string | undefined;
  /** The prefixes of private module paths, such as `gitlab.example`. */
  readonly privatePrefixes: readonly string[];
  /** The patterns of private module paths, such as `gitlab.example/*`. */
  readonly privatePatterns: readonly string[];
  /** The version of modpress. */
  readonly version: string;
}

/** Creates the router of the start page. */
export function createHomeRouter(parts: HomeParts): Router {
  const router = Router();
  router.get('/', (request, response) => {
    response.set({
      'Content-Security-Policy': CONTENT_SECURITY_POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      // Without PUBLIC_URL, the page shows the address of the request, so no cache may serve it to other clients.
      'Cache-Control': parts.publicUrl === undefined ? 'no-store' : 'no-cache',
    });
    response.type('html').send(homePage({ ...parts, publicUrl: parts.publicUrl ?? urlOf(request) }));
  });
  return router;
}

/** Returns the start page, which describes the service and lists the commands that a developer needs. */
function homePage(parts: HomeParts & { publicUrl: string }): string {
  const { publicUrl, privatePrefixes, privatePatterns, version } = parts;
  const [prefix = 'gitlab.example'] = privatePrefixes;
  const patterns = privatePatterns.join(',');
  return page(
    'modpress',
    `<h1>modpress</h1>
<p class="lead">Push a tag, get a module: a Go module proxy for the modules under <code>${escapeHtml(prefix)}</code> and for all public modules.</p>
<h2>On your machine</h2>
<ol>
${step('Download modules from this proxy', `go env -w GOPROXY=${publicUrl.replace(/(?<!\/)\/+$/, '')}`)}
${step('Keep the paths of private modules secret from checksum databases', `go env -w GONOSUMDB=${patterns}`)}
${step('Use a module', `go get ${prefix}/group/project@latest`)}
</ol>
<p>That is all. You need no git, no SSH keys, and no <code>.netrc</code> entry for the Git host.</p>
<h2>Publish a module</h2>
<p>Push a tag that is a version. Seconds later the version is available here.</p>
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

/** Returns the address from the Host header, or from X-Forwarded-* if express trusts the proxy that sent them. */
function urlOf(request: Request): string {
  const host = request.host;
  // Developers copy this address into a shell, so it may contain only a host and a port.
  return /^[A-Za-z0-9.-]+(?::[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?$/.test(host ?? '')
    ? `${request.protocol}://${host}`
    : 'https://modpress.example';
}
