export type Severity = 'SEV1' | 'SEV2' | 'SEV3' | 'SEV4';

/** Highest first. */
export const SEVERITIES: readonly Severity[] = ['SEV1', 'SEV2', 'SEV3', 'SEV4'];

/** True when `a` is more severe than `b`. */
export function isMoreSevere(a: Severity, b: Severity): boolean {
  return SEVERITIES.indexOf(a) < SEVERITIES.indexOf(b);
}
