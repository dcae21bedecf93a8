import { BlockList, isIP } from 'node:net';

/**
 * The kind of an IP address. `private` includes every other address that is not reachable through the internet, such as
 * those of carrier-grade NAT.
 */
export type AddressKind = 'public' | 'private' | 'link-local' | 'loopback';

/** The networks of the IANA registries of special-purpose addresses (RFC 6890) that do not belong to the internet. */
const NETWORKS: readonly (readonly [AddressKind, BlockList])[] = [
  ['loopback', networks('127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128')],
  ['link-local', networks('169.254.0.0/16', 'fe80::/10')],
  [
    'private',
    networks(
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
      '192.0.0.0/24',
      '192.0.2.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '224.0.0.0/3',
      'fc00::/7',
      'fec0::/10',
      'ff00::/8',
      '100::/64',
      '2001:db8::/32',
    ),
  ],
];

/** The IPv6 networks whose addresses contain an IPv4 address, and the position of its first bit. */
const EMBEDDING: readonly (readonly [BlockList, number])[] = [
  // Mapped and compatible addresses (RFC 4291, section 2.5.5), and NAT64 (RFC 6052).
  [networks('::ffff:0:0/96', '::/96', '64:ff9b::/96'), 96],
  // 6to4 (RFC 3056).
  [networks('2002::/16'), 16],
];

/** Returns the kind of an IP address. An IPv6 address that contains an IPv4 address has the kind of the latter. */
export function addressKind(address: string): AddressKind {
  const [plain = ''] = address.split('%', 1);
  if (isIP(plain) === 4) return kindIn(plain, 'ipv4');
  const kind = kindIn(plain, 'ipv6');
  if (kind !== 'public') return kind;
  const [, start] = EMBEDDING.find(([list]) => list.check(plain, 'ipv6')) ?? [];
  return start === undefined ? kind : kindIn(embedded(plain, start), 'ipv4');
}

function kindIn(address: string, family: 'ipv4' | 'ipv6'): AddressKind {
  return NETWORKS.find(([, list]) => list.check(address, family))?.[0] ?? 'public';
}

/** Returns the IPv4 address that begins at a bit of an IPv6 address. */
function embedded(address: string, start: number): string {
  // The URL parser writes an IPv6 address in its shortest form, without dots.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [first, last] = [groupsOf(head), groupsOf(tail)];
  const zeros = Array<number>(8 - first.length - last.length).fill(0);
  const all = [...first, ...zeros, ...last];
  const [high = 0, low = 0] = all.slice(start / 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** Returns a list of networks. Networks of IPv4 must not match addresses of IPv6, so `embedded` decides about these. */
function networks(...texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', bits] = text.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
