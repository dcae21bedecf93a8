import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/**
 * Where Linux distributions, FreeBSD and macOS keep the CAs of the machine. The first file that exists is used, as Go
 * does (certFiles in crypto/x509/root_linux.go, root_bsd.go).
 */
const MACHINE_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads the certificates of a PEM file. Throws an Error, whose message is a phrase that follows the name of the
 * setting, if the file cannot be read, contains no certificate, or contains an invalid one.
 */
export function readCertificates(file: string): string[] {
  let certificates: string[];
  try {
    certificates = certificatesIn(file);
  } catch (cause) {
    throw new Error('names a file that cannot be read', { cause });
  }
  if (certificates.length === 0) throw new Error('names a file without a PEM certificate (BEGIN CERTIFICATE)');
  const invalid = certificates.findIndex((certificate) => !isValid(certificate));
  if (invalid >= 0) throw new Error(`names a file whose certificate number ${invalid + 1} is invalid`);
  return certificates;
}

/**
 * Returns the TLS context of all outgoing connections. It trusts the CAs that Node contains, the CAs of the machine,
 * and `certificates`, which are in PEM format.
 *
 * The CAs of the machine are in the file SSL_CERT_FILE of `env`, as for the go command, or else in the file of the
 * operating system. NODE_EXTRA_CA_CERTS of `env` is read too, because Node ignores it for a context with own CAs. A
 * file that cannot be read is ignored, as in Go and Node.
 */
export function createTrust(certificates: readonly string[], env: NodeJS.ProcessEnv): SecureContext {
  const machineFile = env['SSL_CERT_FILE'] || MACHINE_FILES.find((file) => existsSync(file));
  const files = [machineFile, env['NODE_EXTRA_CA_CERTS']].filter((file) => file !== undefined);
  return createSecureContext({ ca: [...rootCertificates, ...files.flatMap(validCertificates), ...certificates] });
}

/** Returns the valid certificates of a PEM file. OpenSSL would refuse all of them because of a single invalid one. */
function validCertificates(file: string): string[] {
  try {
    return certificatesIn(file).filter(isValid);
  } catch {
    return [];
  }
}

function certificatesIn(file: string): string[] {
  return readFileSync(file, 'utf8').match(CERTIFICATE) ?? [];
}

function isValid(certificate: string): boolean {
  try {
    return new X509Certificate(certificate).serialNumber !== '';
  } catch {
    return false;
  }
}

/** Returns a function that calls `createTrust` once, at its first call. */
export function lazyTrust(...parameters: Parameters<typeof createTrust>): () => SecureContext {
  let trust: SecureContext | undefined;
  return () => (trust ??= createTrust(...parameters));
}
