import { Worker } from 'node:worker_threads';
import type { PlannedCell } from './plan.ts';
import { mergeTallies, simulate, type Tallies } from './simulate.ts';

/** The study's seed: any other gives the same findings, within their intervals. */
export const SEED = 20_261;

/** Two: more would not help on the machines that the project's checks run on. */
const MAX_THREADS = 2;
/** Incidents in one piece of work: a second or two, so that no thread is left waiting at the end. */
const PIECE = 1_000;

/** A part of the incidents of one cell. */
export interface Piece {
  cell: PlannedCell;
  seed: number;
  from: number;
  until: number;
}

export interface CellResult {
  cell: PlannedCell;
  tallies: Tallies;
}

/** Each cell has a seed of its own, by its place in the plan. */
function piecesOf(cells: readonly PlannedCell[], incidents: number): Piece[][] {
  return cells.map((cell, index) =>
    Array.from({ length: Math.ceil(incidents / PIECE) }, (_, i) => ({
      cell,
      seed: SEED + index,
      from: i * PIECE,
      until: Math.min(incidents, (i + 1) * PIECE),
    })),
  );
}

/** Simulates in this thread. */
export function runHere(cells: readonly PlannedCell[], incidents: number): CellResult[] {
  return piecesOf(cells, incidents).map((pieces, index) => ({
    cell: cells[index] as PlannedCell,
    tallies: mergeTallies(pieces.map(({ cell, seed, from, until }) => simulate(cell, seed, from, until))),
  }));
}

/**
 * Simulates in threads; the result is the same as in one.
 * @param onProgress told the share (0..1) that is done.
 */
export async function runInThreads(
  cells: readonly PlannedCell[],
  incidents: number,
  onProgress: (share: number) => void,
): Promise<CellResult[]> {
  const byCell = piecesOf(cells, incidents);
  const queue = byCell.flatMap((pieces, index) => pieces.map((piece, part) => ({ piece, index, part })));
  const results: Tallies[][] = byCell.map((pieces) => new Array<Tallies>(pieces.length));
  const all = queue.length;
  let done = 0;

  const serve = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('./thread.ts', import.meta.url));
      let current: (typeof queue)[number] | undefined;
      const give = () => {
        current = queue.shift();
        if (current === undefined) void worker.terminate().then(() => resolve(), reject);
        else worker.postMessage(current.piece);
      };
      worker.on('error', reject);
      worker.on('message', (tallies: Tallies) => {
        if (current !== undefined) (results[current.index] as Tallies[])[current.part] = tallies;
        done += 1;
        onProgress(done / all);
        give();
      });
      give();
    });
  await Promise.all(Array.from({ length: MAX_THREADS }, serve));
  return cells.map((cell, index) => ({ cell, tallies: mergeTallies(results[index] ?? []) }));
}
