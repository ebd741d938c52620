/** Runs the real workflow code over virtual time, without a server: see docs/adr/0010-simulation-runtime.md. */
import { Simulation } from './simulation.ts';
import type { SimulationOptions } from './types.ts';

export { Simulation } from './simulation.ts';
export { type ActivityHandler, FailsAfter } from './types.ts';

/** Loads the workflow bundle; virtual time begins at `startMs` and passes in `run`. */
export function createSimulation(options: SimulationOptions): Promise<Simulation> {
  return Simulation.create(options);
}
