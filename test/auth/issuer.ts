import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The claims of an id_token; undefined leaves one of the usual ones out. */
export type Claims = Readonly<Record<string, unknown>>;

interface Key {
  readonly id: string;
  readonly private: CryptoKey;
  readonly public: JWK;
}

/** Making keys takes a moment: issuers begin with the same one. */
let firstKey: Promise<Key> | undefined;

/** A GitLab that does nothing but make id_tokens and show its keys. */
export class Issuer {
  readonly #server: Server;
  #key: Key;
  #isDown = false;
  /** How often it was asked, by path. */
  readonly requests = { discovery: 0, keys: 0 };
  /** What its discovery document says in place of the truth. */
  discovery: Readonly<Record<string, unknown>> = {};

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

  /** With a path, as a GitLab below one has it. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/gitlab`;
  }

  /** The key that it shows, public. */
  get publicKey(): JWK {
    return this.#key.public;
  }

  /** An id_token as GitLab makes it for a job on a protected branch of group/lib, with these claims in place of the usual ones. */
  async sign(claims: Claims = {}, key: Key = this.#key): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const usual = {
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
    return new SignJWT({ ...usual, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.id, typ: 'JWT' })
      .sign(key.private);
  }

  /** An id_token that somebody else signed, who names the key of this issuer. */
  async forge(claims: Claims = {}): Promise<string> {
    return this.sign(claims, { ...(await createKey()), id: this.#key.id });
  }

  /** From now on signs with another key, and shows that one alone. */
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
