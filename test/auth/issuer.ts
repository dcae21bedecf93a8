import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sendLarge } from '../services/http-stub.ts';

/** The claims of an id_token. The value undefined omits a default claim. */
export type Claims = Readonly<Record<string, unknown>>;

interface Key {
  readonly id: string;
  readonly private: CryptoKey;
  readonly public: JWK;
}

/** All issuers start with the same key, because generating a key is slow. */
let firstKey: Promise<Key> | undefined;

/** A stand-in for GitLab that issues id_tokens and publishes its keys. */
export class Issuer {
  readonly #server: Server;
  #key: Key;
  #isDown = false;
  /** The number of requests of each kind. */
  readonly requests = { discovery: 0, keys: 0 };
  /** Overrides fields of the discovery document. */
  discovery: Readonly<Record<string, unknown>> = {};
  /** Sends a response of 100 MB to each request of this kind. */
  large: 'discovery' | 'keys' | undefined;
  /** The number of bytes of large responses that were sent. */
  sent = 0;

  private constructor(key: Key) {
    this.#key = key;
    this.#server = createServer((request, response) => {
      if (this.#isDown) {
        request.socket.destroy();
        return;
      }
      const isDiscovery = request.url === '/gitlab/.well-known/openid-configuration';
      const isKeys = request.url === '/gitlab/oauth/discovery/keys';
      if (isDiscovery) this.requests.discovery += 1;
      if (isKeys) this.requests.keys += 1;
      if (this.large === (isDiscovery ? 'discovery' : 'keys')) {
        sendLarge(response, 100 * 2 ** 20, (length) => (this.sent += length), ['"', '"']);
        return;
      }
      const body = isDiscovery
        ? { issuer: this.url, jwks_uri: `${this.url}/oauth/discovery/keys`, ...this.discovery }
        : { keys: [this.#key.public] };
      response
        .writeHead(isDiscovery || isKeys ? 200 : 404, { 'Content-Type': 'application/json' })
        .end(JSON.stringify(body));
    });
  }

  static async start(): Promise<Issuer> {
    const issuer = new Issuer(await (firstKey ??= createKey()));
    await new Promise<void>((resolve) => {
      issuer.#server.listen(0, '127.0.0.1', resolve);
    });
    return issuer;
  }

  /** The URL. It contains a path, as the URL of a GitLab with a relative URL root does. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/gitlab`;
  }

  /** The public key that the issuer publishes. */
  get publicKey(): JWK {
    return this.#key.public;
  }

  /**
   * Issues an id_token as GitLab does for a job on a protected branch of group/lib. `claims` override the default
   * claims.
   */
  async sign(claims: Claims = {}, key: Key = this.#key): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const defaults = {
      iss: this.url,
      sub: 'project_path:group/lib:ref_type:branch:ref:main',
      aud: 'https://go.corp.example',
      iat: now,
      nbf: now - 5,
      exp: now + 3600,
      jti: randomUUID(),
      namespace_id: '1',
      namespace_path: 'group',
      project_id: '2',
      project_path: 'group/lib',
      user_id: '3',
      user_login: 'ada',
      pipeline_id: '4',
      pipeline_source: 'push',
      job_id: '5',
      ref: 'main',
      ref_type: 'branch',
      ref_path: 'refs/heads/main',
      ref_protected: 'true',
    };
    return new SignJWT({ ...defaults, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.id, typ: 'JWT' })
      .sign(key.private);
  }

  /** Issues an id_token that has the key id of this issuer but is signed with another key. */
  async forge(claims: Claims = {}): Promise<string> {
    return this.sign(claims, { ...(await createKey()), id: this.#key.id });
  }

  /** Replaces the key. From then on, the issuer signs with a new key and publishes only this key. */
  async rotate(): Promise<void> {
    this.#key = await createKey();
  }

  down(): void {
    this.#isDown = true;
  }

  up(): void {
    this.#isDown = false;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

async function createKey(): Promise<Key> {
  const id = randomUUID();
  const pair = await generateKeyPair('RS256');
  return {
    id,
    private: pair.privateKey,
    public: { ...(await exportJWK(pair.publicKey)), kid: id, use: 'sig', alg: 'RS256' },
  };
}
