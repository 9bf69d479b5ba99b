/** Certificates and signatures as files hold them: as text, or as the bytes that the text stands for (DER). */

/** Every DER of ours begins with a sequence (X.690 §8.9). */
const SEQUENCE = 0x30;
/** A signature on P-384 has 104 bytes at most; no certificate fits into that. */
const SIGNATURE_BYTES_MAX = 110;
/** Twice what the server takes of a certificate: a picture that was chosen by mistake is not read. */
export const FILE_BYTES_MAX = 16_384;

/** What the server takes: PEM of a certificate, base64 of a signature, or the text as it is. */
export function textOf(bytes: Uint8Array): string {
  if (bytes[0] !== SEQUENCE || isText(bytes)) return new TextDecoder().decode(bytes);
  const base64 = btoa(String.fromCharCode(...bytes));
  if (bytes.length <= SIGNATURE_BYTES_MAX) return base64;
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** "0" is 0x30, too: text has no control characters but blanks. */
function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09);
}
