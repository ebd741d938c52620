import { addresses, names } from './names.ts';
import { cards, emails, ibans, ips, nationalIds, phones } from './numbers.ts';
import type { Detector } from './redact.ts';
import { secrets } from './secrets.ts';

/** What runs in this process, on every text that is kept. Measured in docs/samples-redaction.md. */
export const DETECTORS: readonly Detector[] = [
  secrets,
  emails,
  ibans,
  cards,
  nationalIds,
  phones,
  ips,
  addresses,
  names,
];
