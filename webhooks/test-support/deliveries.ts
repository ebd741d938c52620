/** A delivery as Alertmanager 0.25 sends it (captured from one, names changed). */
export function alertOf(change: Record<string, unknown> = {}, labels: Record<string, string> = {}) {
  return {
    status: 'firing',
    labels: {
      alertname: 'AiHarmfulOutputRateHigh',
      cluster: 'local',
      deployment: 'llm-api',
      namespace: 'models',
      rmf_function: 'MANAGE',
      severity: 'critical',
      ...labels,
    },
    annotations: { summary: 'Harmful outputs above 2%' },
    startsAt: '2026-03-01T10:00:00.123456789Z',
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus:9090/graph?g0.expr=x',
    fingerprint: '5b6e0b3b8a1f0c11',
    ...change,
  };
}

export function deliveryOf(alerts: unknown[] = [alertOf()], change: Record<string, unknown> = {}) {
  return {
    receiver: 'firebreak',
    status: 'firing',
    alerts,
    groupLabels: { alertname: 'AiHarmfulOutputRateHigh' },
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'http://alertmanager:9093',
    version: '4',
    groupKey: '{}:{alertname="AiHarmfulOutputRateHigh"}',
    truncatedAlerts: 0,
    ...change,
  };
}
