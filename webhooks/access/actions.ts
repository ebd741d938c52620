/**
 * What somebody can want to do. Signed decisions are `approve`, `reject` and `break-glass` (an approval that one person
 * gives alone); the rest are a workflow's updates.
 */
export type AccessAction =
  | 'view'
  | 'acknowledge'
  | 'note'
  | 'reveal'
  | 'escalate'
  | 'update'
  | 'retry'
  | 'skip'
  | 'set-severity'
  | 'assign-commander'
  | 'abort'
  | 'resolve'
  | 'override'
  | 'false-positive'
  | 'plan'
  | 'declare'
  | 'freeze'
  | 'approve'
  | 'reject'
  | 'break-glass';

export type Role = 'viewer' | 'responder' | 'commander';

/** Actions that the plan's groups decide, or the groups of break-glass: no role gives them. */
export const DECISIONS = ['approve', 'reject', 'break-glass'] as const satisfies AccessAction[];
export type DecisionAction = (typeof DECISIONS)[number];

/** The least role for an action. Severity and commander are the responders' to set: recorded, and nothing in production moves. */
export const ROLE_OF: Record<Exclude<AccessAction, DecisionAction>, Role> = {
  view: 'viewer',
  acknowledge: 'responder',
  note: 'responder',
  // Of a kept text of a sample: redacted, recorded, and the responders' work.
  reveal: 'responder',
  escalate: 'responder',
  update: 'responder',
  retry: 'responder',
  skip: 'responder',
  'set-severity': 'responder',
  'assign-commander': 'responder',
  abort: 'commander',
  resolve: 'commander',
  override: 'commander',
  'false-positive': 'commander',
  // A plan changes nothing, and an incident that was declared asks people before it does.
  plan: 'viewer',
  declare: 'responder',
  freeze: 'commander',
};

/** Who may do a role's work: the roles above it too. */
export const ROLES_WITH: Record<Role, readonly Role[]> = {
  viewer: ['viewer', 'responder', 'commander'],
  responder: ['responder', 'commander'],
  commander: ['commander'],
};
