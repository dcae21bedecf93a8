import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';

const openssl = (...args: string[]) => promisify(execFile)('openssl', args);

/** A certificate authority that no machine trusts, and a server certificate that it has signed. */
export interface Certificates extends AsyncDisposable {
  /** The CA's certificate in PEM format, and the path of its file. */
  readonly ca: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Creates a CA and a certificate for these names, such as `DNS:localhost,IP:127.0.0.1`, in a temporary folder. */
export async function createCertificates(names = 'DNS:localhost,IP:127.0.0.1'): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'modpress-certificates-'));
  const [caFile, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  const [certificateFile, keyFile, request] = [
    join(folder, 'cert.pem'),
    join(folder, 'key.pem'),
    join(folder, 'request'),
  ];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-days', '2', '-subj', '/CN=CA of a test');
  await openssl('req', ...key, '-keyout', keyFile, '-out', request, '-subj', '/CN=server');
  const extensions = join(folder, 'extensions');
  await writeFile(extensions, `subjectAltName=${names}\n`);
  const authority = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', extensions];
  await openssl('x509', '-req', '-in', request, ...authority, '-out', certificateFile);
  const ca = await readFile(caFile, 'utf8');
  return { ca, caFile, certificateFile, keyFile, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Starts a server on a free port of 127.0.0.1 that ends TLS and forwards the bytes to `port`. */
export async function startTls(
  { certificateFile, keyFile }: Certificates,
  port: number,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): unknown }>();
  const server = createServer({ cert: await readFile(certificateFile), key: await readFile(keyFile) }, (socket) => {
    sockets.add(socket);
    pipeline(socket, connect(port, '127.0.0.1'), socket, () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
