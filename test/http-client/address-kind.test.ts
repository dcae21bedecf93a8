import { expect, test } from 'vitest';
import { addressKind } from '../../src/http-client/address-kind.ts';

test.each([
  [
    'loopback',
    ['127.0.0.1', '127.255.0.9', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '::127.0.0.1', '2002:7f00:1::'],
  ],
  ['link-local', ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', '::ffff:169.254.169.254', '64:ff9b::169.254.169.254']],
  ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd00::1', '::ffff:10.0.0.1']],
  ['private', ['224.0.0.1', '255.255.255.255', '192.0.2.1', '2001:db8::1', 'ff02::1', '2002:a00:1::1']],
  ['public', ['8.8.8.8', '172.15.0.1', '172.32.0.1', '100.128.0.1', '126.0.0.1', '2606:4700::1', '64:ff9b::8.8.8.8']],
] as const)('the kind %s has the addresses %j', (kind, addresses) => {
  for (const address of addresses) expect([address, addressKind(address)]).toEqual([address, kind]);
});
