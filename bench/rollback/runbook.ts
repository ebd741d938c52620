/** The least that rolls back with an approval: what an alert opens here is measured from the approval on. */
export const BENCH_ALERT = 'BenchRollback';

export const BENCH_RUNBOOK = `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: bench-rollback, owner: bench@example.com, version: 1 }
spec:
  match: ['alertname="${BENCH_ALERT}"']
  correlateBy: [cluster, namespace, deployment]
  target: { kind: Deployment, namespace: "\${{ labels.namespace }}", name: "\${{ labels.deployment }}" }
  metrics:
    harmful: { counter: ai_harmful_outputs_total, labels: { namespace: target.namespace, deployment: target.name } }
    classified: { counter: ai_outputs_classified_total, labels: { namespace: target.namespace, deployment: target.name } }
  severity: '"SEV3"'
  steps:
    - id: rollback
      uses: rollback
      with: { to: previous }
      approval: { from: [ml-oncall], count: 1, timeout: 10m, onTimeout: escalate }
    # Nothing is proved here: the incident is stopped as soon as the rollout is complete.
    - id: verify
      uses: verify
      needs: [rollback]
      with: { harmRateBelow: 0.01, timeout: 30m }
`;
