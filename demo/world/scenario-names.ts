/** Apart from what they are: the command line names them without loading the demo. */
export const SCENARIO_NAMES = [
  'rollback',
  'reject',
  'bad-previous',
  'no-traffic',
  'never-ready',
  'no-capacity',
  'flap',
  'fallback-bad',
  'two-incidents',
  'canary',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];
