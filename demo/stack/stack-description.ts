/** Where the Kubernetes API of a stack is. The token is in the file alone. */
export interface KubeDescription {
  server: string;
  caPath: string;
  adminTokenPath: string;
  kubeconfigPath: string;
  kubectlPath: string;
  /** JSON lines of what service accounts asked, where the stack was started with `audit`. */
  auditLogPath?: string;
}

export interface TemporalDescription {
  /** host:port of the gRPC frontend. */
  address: string;
  namespace: string;
  uiUrl: string;
  /** SQLite file that holds all of the server's state. */
  dbFile: string;
}

export interface PrometheusDescription {
  url: string;
  dir: string;
  promtoolPath: string;
}

export interface AlertmanagerDescription {
  url: string;
  dir: string;
  amtoolPath: string;
}

/** Plain JSON: what another process of the same user needs to use a running stack. */
export interface StackDescription {
  dir: string;
  kube: KubeDescription;
  temporal: TemporalDescription;
  prometheus: PrometheusDescription;
  alertmanager: AlertmanagerDescription;
  /** Servers by name, with the supervisor. */
  processes: { name: string; pid: number }[];
}
