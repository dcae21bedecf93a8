import { BlockList } from 'node:net';
import { parseHost, parseHostList, type MatchesHost } from './host-list.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Parses NO_PROXY, the hosts to which requests go directly. Requests to localhost and to loopback addresses are always
 * direct, as in Go (golang.org/x/net/http/httpproxy).
 */
export function parseNoProxy(value: string): MatchesHost {
  const isListed = parseHostList(value);
  return (hostname, port) => {
    const { name, ipVersion } = parseHost(hostname);
    const isLoopback = name === 'localhost' || (ipVersion !== undefined && LOOPBACK.check(name, ipVersion));
    return isLoopback || isListed(hostname, port);
  };
}
