import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { withoutBrackets } from './host.ts';

/** Whether a list contains a host. `hostname` is as in a URL; an IPv6 address may have brackets. */
export type MatchesHost = (hostname: string, port: number) => boolean;

interface Entry {
  readonly matches: (host: Host) => boolean;
  /** Undefined means all ports. */
  readonly port: string | undefined;
}

/** A host: its name or address in lower case, without brackets, and the version of an address. */
export interface Host {
  readonly name: string;
  readonly ipVersion: 'ipv4' | 'ipv6' | undefined;
}

/** The IPv6 form of IPv4 addresses (RFC 4291, section 2.5.5.2). */
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * Parses a list of hosts in the syntax of NO_PROXY, as Go does (golang.org/x/net/http/httpproxy). Entries are separated
 * by commas:
 *
 * - `*`: all hosts,
 * - `10.0.0.0/8`: the addresses of a network. Names are not resolved, so this matches only addresses,
 * - `10.1.2.3` or `[fd00::1]:8443`: one address,
 * - `corp.example` or `corp.example:8443`: the domain and its subdomains,
 * - `.corp.example` or `*.corp.example`: only its subdomains.
 *
 * As in Go, an invalid entry matches nothing. `hasInvalidEntry` finds it.
 */
export function parseHostList(value: string): MatchesHost {
  const texts = entryTexts(value);
  const all = texts.includes('*');
  const entries = texts.flatMap(parseEntry);
  return (hostname, port) => {
    const host = parseHost(hostname);
    return all || entries.some((entry) => (!entry.port || entry.port === String(port)) && entry.matches(host));
  };
}

/** Whether a list of hosts has an entry that matches nothing, because its syntax is wrong. */
export function hasInvalidEntry(value: string): boolean {
  return entryTexts(value).some((text) => {
    if (text === '*' || parseNetwork(text)) return false;
    const { name, port = '1' } = splitPort(text);
    const isDomain = /^(?:\*?\.)?[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*$/u.test(name);
    return !(ipVersionOf(name) !== undefined || isDomain) || !/^[0-9]{1,5}$/.test(port);
  });
}

function entryTexts(value: string): string[] {
  return value.split(',').map((text) => text.trim().toLowerCase());
}

/** Parses a host as it is in a URL. */
export function parseHost(hostname: string): Host {
  const name = withoutBrackets(hostname).toLowerCase();
  return { name, ipVersion: ipVersionOf(name) };
}

function ipVersionOf(text: string): Host['ipVersion'] {
  const version = isIP(text);
  if (version === 0) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}

function parseEntry(text: string): Entry[] {
  const network = parseNetwork(text);
  if (network) return [{ matches: network, port: undefined }];
  const { name, port } = splitPort(text);
  if (name === '') return [];
  const ipVersion = ipVersionOf(name);
  if (ipVersion) {
    const address = new BlockList();
    address.addAddress(name, ipVersion);
    return [{ matches: isIn(address, isIpv4(name)), port }];
  }
  const domain = name.replace(/^\*(?=\.)/, '');
  const suffix = toAscii(domain.startsWith('.') ? domain : `.${domain}`);
  const isDomain = domain.startsWith('.') ? () => false : (host: string) => `.${host}` === suffix;
  return [{ matches: (host) => !host.ipVersion && (host.name.endsWith(suffix) || isDomain(host.name)), port }];
}

/** A BlockList matches IPv4 addresses with IPv6 networks too, but Go does not. */
function isIn(addresses: BlockList, areIpv4: boolean): Entry['matches'] {
  return ({ name, ipVersion }) =>
    ipVersion !== undefined && isIpv4(name) === areIpv4 && addresses.check(name, ipVersion);
}

function isIpv4(address: string): boolean {
  return isIP(address) === 4 || MAPPED.check(address, 'ipv6');
}

/** Parses `address/bits`. Returns undefined if the text has another form. */
function parseNetwork(text: string): Entry['matches'] | undefined {
  const [, address = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const ipVersion = ipVersionOf(address);
  const bits = Number(digits);
  if (!ipVersion || bits > (ipVersion === 'ipv4' ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, bits, ipVersion);
  return isIn(network, isIpv4(address));
}

/** Splits `name:port` and `[address]:port`. Returns any other text whole (compare net.SplitHostPort in Go). */
function splitPort(text: string): { name: string; port: string | undefined } {
  const [, address, domain, port] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text) ?? [];
  return port === undefined ? { name: text, port: undefined } : { name: address ?? domain ?? '', port };
}

/** Converts an international domain name. `suffix` begins with a dot, which is not part of a domain name. */
function toAscii(suffix: string): string {
  return /^\p{ASCII}*$/u.test(suffix) ? suffix : `.${domainToASCII(suffix.slice(1))}`;
}
