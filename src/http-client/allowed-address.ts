import type { ClientRequest } from 'node:http';
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

/** Decides whether a request may be sent to an IP address. */
export type IsAllowedAddress = (address: string) => boolean;

/** Resolves a name to all its addresses, as `lookup` of node:dns with the option `all`. */
export type Lookup = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Without access to a name server, which is common behind a forward proxy, a resolution can take half a minute. */
const PROXIED_LOOKUP_MS = 1_000;

/** The address of a host is not allowed for a request. Nothing was sent to it. */
export class AddressNotAllowed extends Error {
  override readonly name = 'AddressNotAllowed';

  constructor(host: string) {
    super(`${host} has an address that is not allowed`);
  }
}

/**
 * Restricts a request to allowed addresses. The addresses that the connection really uses count, not those of an
 * earlier resolution: between two resolutions, a name can get another address (DNS rebinding).
 */
export class AddressGuard {
  readonly #isAllowed: IsAllowedAddress;
  readonly #resolve: Lookup;

  constructor(isAllowed: IsAllowedAddress, resolve: Lookup = systemLookup) {
    this.#isAllowed = isAllowed;
    this.#resolve = resolve;
  }

  /** Throws AddressNotAllowed if the host is an IP address that is not allowed. Node does not look up such a host. */
  checkAddress(host: string): void {
    if (isIP(host) !== 0 && !this.#isAllowed(host)) throw new AddressNotAllowed(host);
  }

  /**
   * Rejects with AddressNotAllowed if the host is or has an address that is not allowed. This check is for a host
   * behind a forward proxy, which resolves the name itself. A name that this machine cannot resolve, or not in time,
   * passes.
   */
  async checkName(host: string): Promise<void> {
    this.checkAddress(host);
    const addresses = await new Promise<LookupAddress[]>((resolve) => {
      const timer = setTimeout(() => resolve([]), PROXIED_LOOKUP_MS);
      this.#resolve(host, { all: true }, (error, found) => {
        clearTimeout(timer);
        resolve(error ? [] : found);
      });
    });
    if (addresses.some(({ address }) => !this.#isAllowed(address))) throw new AddressNotAllowed(host);
  }

  /**
   * Resolves a name for a new connection to its allowed addresses. Fails with AddressNotAllowed if all are not allowed.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname, { ...options, all: true }, (error, found) => {
      const addresses = error ? [] : found.filter(({ address }) => this.#isAllowed(address));
      const [first] = addresses;
      if (error) callback(error, []);
      else if (first === undefined) callback(new AddressNotAllowed(hostname), []);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };

  /** Ends the request before it is sent if it uses an earlier connection to an address that is not allowed. */
  watch(request: ClientRequest, host: string): void {
    request.once('socket', ({ connecting, remoteAddress }) => {
      if (!connecting && !(remoteAddress !== undefined && this.#isAllowed(remoteAddress)))
        request.destroy(new AddressNotAllowed(host));
    });
  }
}
