/**
 * The least that rolls back with an approval, for benches and tests that are about nothing else: YAML of a runbook.
 * @param alert name of the alert that opens it.
 */
export function rollbackRunbook({ name, alert }: { name: string; alert: string }): string {
  return `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: ${name}, owner: someone@example.com, version: 1 }
spec:
  match: ['alertname="${alert}"']
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
      approval: { from: [ml-oncall], count: 1, timeout: 1h, onTimeout: escalate }
    - { id: verify, uses: verify, needs: [rollback], with: { harmRateBelow: 0.01, timeout: 30m } }
`;
}
