/**
 * OpenSSL's codes for a certificate that no trusted CA has signed (X509_V_ERR_* in openssl/x509_vfy.h). Node uses them
 * as error codes.
 */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether an error means that no trusted CA has signed the certificate of the server. */
export function isUntrusted(error: Error): error is Error & { readonly code: string } {
  return 'code' in error && typeof error.code === 'string' && UNTRUSTED.has(error.code);
}

/** The certificate of a server is not trusted. The message names the server, and says what to set. */
export class UntrustedCertificate extends Error {
  override readonly name = 'UntrustedCertificate';
}

/**
 * Returns an UntrustedCertificate if the error, or one of its causes, means that. Returns any other error unchanged.
 * `server` is the name of the server, for the message.
 */
export function explainCertificate(error: Error, server: string): Error {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UntrustedCertificate) return cause;
    if (isUntrusted(cause))
      return new UntrustedCertificate(
        `the certificate of ${server} is not trusted (${cause.code}): set CA_FILE to a PEM file with the certificate of the CA that signed it`,
        { cause: error },
      );
  }
  return error;
}
