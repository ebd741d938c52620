export {
  type ActivityAnswer,
  type ActivityCall,
  type ActivityHandler,
  FailsAfter,
  Simulation,
  SimulationError,
  type SimulationOptions,
  type SimulationStats,
} from './simulation.ts';

import { Simulation, type SimulationOptions } from './simulation.ts';

/** Loads the workflow bundle and starts virtual time. */
export async function createSimulation(options: SimulationOptions): Promise<Simulation> {
  return new Simulation(options);
}
