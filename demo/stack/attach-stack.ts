import { readFileSync } from 'node:fs';
import type { AlertmanagerControl } from './alertmanager.ts';
import { controlAlertmanager } from './alertmanager.ts';
import { kubeconfig } from './kube.ts';
import type { PrometheusControl } from './prometheus.ts';
import { controlPrometheus } from './prometheus.ts';
import type { KubeDescription, StackDescription, TemporalDescription } from './stack-description.ts';

/** The Kubernetes API of a stack. */
export interface StackKube extends KubeDescription {
  readonly adminToken: string;
  /** YAML of a kubeconfig whose user is known by the token. */
  kubeconfigFor(token: string): string;
}

/** A running stack, as anyone sees it who may read its files. */
export interface AttachedStack {
  readonly dir: string;
  readonly kube: StackKube;
  readonly temporal: TemporalDescription;
  readonly prometheus: PrometheusControl;
  readonly alertmanager: AlertmanagerControl;
  /** Plain JSON from which another process can attach. */
  describe(): StackDescription;
}

/** Uses a stack that another process of this machine started, and owns none of its servers. */
export function attachStack(description: StackDescription): AttachedStack {
  return {
    dir: description.dir,
    kube: attachKube(description.kube),
    temporal: description.temporal,
    prometheus: controlPrometheus(description.prometheus),
    alertmanager: controlAlertmanager(description.alertmanager),
    describe: () => structuredClone(description),
  };
}

/** The API of a running control plane, with what its files hold. */
export function attachKube(kube: KubeDescription): StackKube {
  const ca = readFileSync(kube.caPath, 'utf8');
  return {
    ...kube,
    adminToken: readFileSync(kube.adminTokenPath, 'utf8'),
    kubeconfigFor: (token) => kubeconfig(kube.server, ca, token),
  };
}
