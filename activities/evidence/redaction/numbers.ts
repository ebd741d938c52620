import { isIP } from 'node:net';
import { extractIBAN, isValidIBAN } from 'ibantools';
import { findPhoneNumbersInText } from 'libphonenumber-js/max';
import type { Detector } from './redact.ts';
import type { Span } from './spans.ts';

/** Numbering plans in which a number without country code is looked for: the largest user bases of gateways. */
const PHONE_COUNTRIES = ['US', 'GB', 'DE', 'FR', 'ES', 'IT', 'IN', 'BR', 'AU'] as const;
/** Without spaces; the shortest IBAN (Norway) has 15 characters, the longest 34. */
const IBAN_CANDIDATE = /\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}\b/gi;
/** ISO/IEC 7812: 12 to 19 digits, with single spaces or dashes. */
const CARD_CANDIDATE = /(?<![\d.-])\d(?:[ -]?\d){11,18}(?![\d-]|\.\d)/g;
const IP_CANDIDATE =
  /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3})(?![\w:]|\.\d)/gi;
const EMAIL = /[\p{L}\p{N}._%+'-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu;

/** Numbers that states give to people, in the way that they are written; checked where there is a check digit. */
const NATIONAL_IDS: readonly { pattern: RegExp; valid?: (text: string) => boolean }[] = [
  // United States, SSN: never 000, 666 or 9xx, 00, 0000 (https://www.ssa.gov/employer/randomization.html).
  { pattern: /\b(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}\b/g },
  // United Kingdom, National Insurance number (https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110).
  {
    pattern: /\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b/gi,
  },
  // Spain, DNI and NIE: the letter is the number modulo 23.
  { pattern: /\b[XYZ]?\d{7,8}-?[A-HJ-NP-TV-Z]\b/gi, valid: validDni },
  // Italy, codice fiscale.
  { pattern: /\b[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]\b/gi },
  // France, numéro de sécurité sociale: sex, year, month, place, serial and key.
  { pattern: /\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}\b/gi },
  // Brazil, CPF.
  { pattern: /\b\d{3}\.\d{3}\.\d{3}-\d{2}\b/g },
  // India, Aadhaar (groups of four, never starting with 0 or 1) and PAN.
  { pattern: /\b[2-9]\d{3} \d{4} \d{4}\b(?! ?\d)/g },
  { pattern: /\b[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]\b/g },
];

export const emails: Detector = (text) =>
  all(text, EMAIL).map((span) => ({ ...span, type: 'EMAIL' as const }));

/** As ITU-T E.164 writes them, assigned or not: at most 15 digits after the plus sign. */
const INTERNATIONAL = /(?<![\w+])\+\d(?:[ ().-]{0,2}\d){6,14}(?!\d)/g;

/** By libphonenumber's metadata national numbers of some countries; international ones anywhere. */
export const phones: Detector = (text) => {
  const found: Span[] = all(text, INTERNATIONAL).map((span) => ({ ...span, type: 'PHONE' as const }));
  for (const defaultCountry of PHONE_COUNTRIES) {
    for (const { startsAt, endsAt } of findPhoneNumbersInText(text, { defaultCountry })) {
      found.push({ start: startsAt, end: endsAt, type: 'PHONE' });
    }
  }
  return found;
};

/** With a check sum that fits, as ibantools knows each country's. */
export const ibans: Detector = (text) =>
  all(text, IBAN_CANDIDATE).flatMap(({ start, end }) => {
    // The last group may be the next word: it is taken off until the rest is an IBAN.
    for (let until = end; until - start >= 15; until = lastGroup(text, start, until)) {
      const iban = text.slice(start, until).replace(/[ -]/g, '').toUpperCase();
      if (isValidIBAN(iban) && extractIBAN(iban).valid) return [{ start, end: until, type: 'IBAN' as const }];
    }
    return [];
  });

/** Numbers that pass the Luhn check (ISO/IEC 7812-1). */
export const cards: Detector = (text) =>
  all(text, CARD_CANDIDATE)
    .filter(({ start, end }) => luhn(text.slice(start, end).replace(/\D/g, '')))
    .map((span) => ({ ...span, type: 'CARD' as const }));

export const ips: Detector = (text) =>
  all(text, IP_CANDIDATE)
    .filter(({ start, end }) => isIP(text.slice(start, end)) !== 0)
    .map((span) => ({ ...span, type: 'IP' as const }));

export const nationalIds: Detector = (text) =>
  NATIONAL_IDS.flatMap(({ pattern, valid }) =>
    all(text, pattern)
      .filter(({ start, end }) => valid?.(text.slice(start, end)) ?? true)
      .map((span) => ({ ...span, type: 'NATIONAL_ID' as const })),
  );

function all(text: string, pattern: RegExp): { start: number; end: number }[] {
  return [...text.matchAll(pattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }));
}

function lastGroup(text: string, start: number, end: number): number {
  const at = Math.max(text.lastIndexOf(' ', end - 1), text.lastIndexOf('-', end - 1));
  return Math.max(at, start);
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (const [index, digit] of [...digits].reverse().entries()) {
    const doubled = index % 2 === 1 ? Number(digit) * 2 : Number(digit);
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0 && !/^0+$/.test(digits);
}

function validDni(text: string): boolean {
  const plain = text.toUpperCase().replace('-', '');
  const number = plain.slice(0, -1).replace('X', '0').replace('Y', '1').replace('Z', '2');
  return number.length === 8 && 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(number) % 23] === plain.at(-1);
}
