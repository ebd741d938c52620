import nlp from 'compromise';
import type { Detector } from './redact.ts';
import type { Span } from './spans.ts';

/** Streets as they are written where the number comes last, and postal codes with their town; compromise knows English ones. */
const STREETS = [
  /\b[\p{Lu}][\p{L}.-]*(?:straße|strasse|str\.|weg|allee|platz|gasse|ring|damm|ufer|straat|laan|gracht|plein|gatan|vägen)\s+\d{1,4}\s?[a-z]?\b/gu,
  /\b(?:Rue|Avenue|Boulevard|Place|Chemin|Impasse|Calle|Avenida|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua|Travessa|ul\.|Ulica)\s+(?:[\p{L}'’.-]+\s+){0,4}[\p{Lu}][\p{L}'’.-]*,?\s+(?:n[°ºo.]*\s*)?\d{1,5}\s?[a-z]?\b/giu,
  /\b\d{1,5}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|boulevard|place|chemin|impasse)\s+(?:(?:de|du|des|la|le|les|d’|d')\s*){0,3}[\p{Lu}][\p{L}'’.-]*(?:\s+[\p{Lu}][\p{L}'’.-]*){0,3}/gu,
  /\b\d{1,5}[a-z]?\s+(?:[NSEW]\.?\s+)?(?:[\p{Lu}][\p{L}'’.-]*\s+){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Terrace|Close|Crescent|Square|Parade)\b\.?(?:,?\s+(?:Apt|Apartment|Flat|Unit|Suite)\.?\s*#?\w{1,5})?/gu,
  // A postal code and its town: DE, FR, ES, IT (five digits), NL (four and two letters), GB.
  /\b(?:[A-Z]{1,2}-)?\d{5}\s+\p{Lu}\p{L}+(?:[ -]\p{Lu}\p{L}+){0,2}/gu,
  /\b\d{4}\s?[A-Z]{2}\s+\p{Lu}\p{L}+/gu,
  /\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b/g,
  /\b[A-Z]{2}\s+\d{5}(?:-\d{4})?\b/g,
];

interface Found {
  text: string;
  offset: { start: number; length: number };
}

/** Names of people: compromise's lexicon and grammar, made for English, with many names of other languages. */
export const names: Detector = (text) => offsetsOf(nlp(text).people(), 'NAME');

/** Postal addresses: compromise's, and how streets are written in other languages. */
export const addresses: Detector = (text) => [
  ...offsetsOf(nlp(text).match('#Address+'), 'ADDRESS'),
  ...STREETS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(
      (match): Span => ({ start: match.index, end: match.index + match[0].length, type: 'ADDRESS' }),
    ),
  ),
];

function offsetsOf(view: { json(options: object): unknown }, type: Span['type']): Span[] {
  return (view.json({ offset: true }) as Found[]).flatMap(({ text, offset }) => {
    // Punctuation after it belongs to the sentence.
    const length = text.replace(/[\s.,;:!?)'"]+$/, '').length;
    return length === 0 ? [] : [{ start: offset.start, end: offset.start + length, type }];
  });
}
