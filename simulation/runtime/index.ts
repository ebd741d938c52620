export { type ActivityHandler, FailsAfter, Simulation } from './simulation.ts';

import { Simulation, type SimulationOptions } from './simulation.ts';

/** Loads the workflow bundle and starts virtual time. */
export async function createSimulation(options: SimulationOptions): Promise<Simulation> {
  return new Simulation(options);
}
