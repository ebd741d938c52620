import type { RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Colors } from '../output.ts';
import { type Cutter, fittedTable } from './lines.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Digits of a digest that tell images of one installation apart. */
const DIGEST_DIGITS = 12;
const MARK_COLUMN = 0;
const HARM_COLUMN = 4;
const STATE_COLUMN = 5;
/** Harm rate from which it is shown as a problem: the threshold of the shipped alert. */
const HARMFUL_FROM = 0.01;

const COLUMNS = [
  { header: ' ', max: 2 },
  { header: 'REV', max: 6 },
  { header: 'AGE', max: 5 },
  { header: 'PODS', max: 5 },
  { header: 'HARMFUL', max: 16 },
  { header: 'KNOWN AS', max: 14 },
  { header: 'IMAGE', max: 26 },
  { header: 'CHANGE CAUSE', max: 14 },
] as const;

/** The rollout history: which one runs, which one is meant, and what is known of each. */
export function revisionTable(
  history: readonly RevisionSummary[],
  { running, chosen, nowMs }: { running?: number | undefined; chosen?: number | undefined; nowMs: number },
  colors: Colors,
  cutter: Cutter,
): string[] {
  const rows = history.map((one) => [
    one.revision === running ? '●' : one.revision === chosen ? '→' : '',
    String(one.revision),
    age(nowMs - Date.parse(one.createdAt)),
    String(one.replicas),
    harmOf(one),
    knownAs(one),
    shortImages(one.images),
    one.changeCause ?? '',
  ]);
  const paint = (cell: string, row: number, column: number): string => {
    const one = history[row];
    if (one === undefined) return cell;
    if (column === MARK_COLUMN) return colors.bold(one.revision === chosen ? colors.green(cell) : cell);
    if (column === HARM_COLUMN && one.served !== undefined && one.served.classified > 0) {
      return one.served.harmful / one.served.classified >= HARMFUL_FROM
        ? colors.red(cell)
        : colors.green(cell);
    }
    if (column === STATE_COLUMN) {
      if (one.ledger === 'known-bad') return colors.red(cell);
      return one.ledger === 'verified-good' ? colors.green(cell) : colors.yellow(cell);
    }
    return cell;
  };
  return fittedTable(COLUMNS, rows, { colors, cutter, paint });
}

/** Images of the plan with their digests, where pods of the revision have been seen. */
export function imageLines(plan: Pick<RollbackPlan, 'from' | 'to'>): string[] {
  const line = (revision: RevisionSummary): string => {
    const digests = revision.digests.map((digest) => `${digest.slice(0, 'sha256:'.length + DIGEST_DIGITS)}…`);
    const seen =
      digests.length > 0 ? `  ${digests.join(', ')}` : '  (no pod of it is left to tell the digest)';
    return `${revision.images.join(', ')}${seen}`;
  };
  return [`${line(plan.from)}`, `${line(plan.to)}`];
}

/** `3 d`, `5 h`, `12 m`: as long ago as two digits say. */
export function age(durationMs: number): string {
  if (!(durationMs >= 0)) return '';
  if (durationMs < MINUTE_MS) return `${Math.floor(durationMs / SECOND_MS)}s`;
  if (durationMs < HOUR_MS) return `${Math.floor(durationMs / MINUTE_MS)}m`;
  if (durationMs < 2 * DAY_MS) return `${Math.floor(durationMs / HOUR_MS)}h`;
  return `${Math.floor(durationMs / DAY_MS)}d`;
}

function harmOf({ served }: RevisionSummary): string {
  if (served === undefined || !(served.classified >= 1)) return '';
  const rate = Number(((served.harmful / served.classified) * 100).toFixed(2));
  return `${rate}% of ${Math.floor(served.classified).toLocaleString('en-US')}`;
}

function knownAs({ ledger, barrier }: RevisionSummary): string {
  const words = [
    ...(ledger === 'verified-good' ? ['verified'] : ledger === 'known-bad' ? ['known bad'] : []),
    ...(barrier ? ['barrier'] : []),
  ];
  return words.join(', ');
}

/** The end of an image's name tells revisions apart: `llm:v3` of `registry.example/team/llm:v3`. */
function shortImages(images: readonly string[]): string {
  return images.map((image) => image.slice(image.lastIndexOf('/') + 1)).join(', ');
}
