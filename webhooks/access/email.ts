import { domainToASCII } from 'node:url';

/** RFC 5321, 4.5.3.1: longer ones cannot be delivered. */
const MAX_ADDRESS_LENGTH = 254;

/**
 * What two addresses are compared by; undefined for what is no address.
 *
 * Lower case in both parts: RFC 5321 leaves the local part to its host, and every host that companies use folds it. Unicode in
 * NFC, domains as DNS spells them. Nothing else is folded: `a+b@` is another address than `a@`, and whoever gets a mailbox
 * with a dot more must not become somebody else.
 */
export function emailKey(address: string): string | undefined {
  if (address.length > MAX_ADDRESS_LENGTH) return undefined;
  const [local, domain, ...more] = address.split('@');
  if (!local || !domain || more.length > 0 || /[\s\p{C}]/u.test(address)) return undefined;
  const folded = local.normalize('NFC').toLowerCase();
  // U+212A (Kelvin) folds to k: an address with it must not become one without.
  if (isAscii(folded) && !isAscii(local)) return undefined;
  const host = domainToASCII(domain.normalize('NFC').toLowerCase());
  return host === '' ? undefined : `${folded}@${host}`;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
