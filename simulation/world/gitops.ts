import type { GitOpsPlan, SuspensionState } from '../../domain/gitops-plan.ts';

const REF = { kind: 'Application', namespace: 'argocd', name: 'simulated' } as const;

/** What an approved plan suspends in the simulated cluster: one object of the tool that the scenario names. */
export function simulatedSuspension(tool: string): { gitops: GitOpsPlan; warnings: string[] } {
  return {
    gitops: {
      policy: 'suspend',
      suspend: [
        {
          ...REF,
          uid: 'simulated',
          change: 'spec.syncPolicy.automated is removed',
          was: '{"selfHeal":true}',
          source: {},
        },
      ],
    },
    warnings: [
      `${tool} will be suspended (spec.syncPolicy.automated is removed) until Git no longer renders the template that is left`,
    ],
  };
}

/** Nobody reverts anything in Git while a scenario runs, so nothing ever shows that the sync may resume. */
export function simulatedState(): SuspensionState {
  return {
    ...REF,
    state: 'suspended',
    shown: false,
    why: 'Git renders the template that was rolled back from still',
  };
}
