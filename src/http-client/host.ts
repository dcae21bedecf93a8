/** Returns the host of a URL as Node's sockets expect it: without the brackets around an IPv6 address. */
export function hostOf(url: URL): string {
  return withoutBrackets(url.hostname);
}

/** Returns a host without the brackets that an IPv6 address has in a URL. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** Returns the port of an http or https URL, which is that of its scheme if the URL names none. */
export function portOf({ protocol, port }: URL): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** Returns `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number | string): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
