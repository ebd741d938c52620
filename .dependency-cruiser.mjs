/** Imports point one way: domain <- runbooks <- workflows; see docs/architecture.md. */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'domain-is-pure',
      comment: 'domain/ has no dependencies: neither packages nor Node nor other folders',
      severity: 'error',
      from: { path: '^domain/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^domain/' },
    },
    {
      name: 'runbooks-do-not-know-workflows',
      severity: 'error',
      from: { path: '^runbooks/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(workflows|worker|webhooks|cli|demo)/' },
    },
    {
      name: 'workflow-code-is-small',
      comment:
        'only @temporalio, workflows/, domain/ and step implementations may be in the workflow bundle; types of anything',
      severity: 'error',
      from: { path: '^(workflows/|runbooks/steps/(.+/run|context|runners)\\.ts$)', pathNot: '\\.test\\.ts$' },
      to: {
        pathNot:
          '^(workflows/|domain/|runbooks/steps/(.+/run|context|runners)\\.ts$|node_modules/@temporalio/(workflow|common)/)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'activities-do-not-know-workflows',
      severity: 'error',
      from: { path: '^activities/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(workflows|worker|webhooks|cli|demo)/' },
    },
    {
      name: 'clients-are-one-file',
      comment: 'clients/ is copied into other people`s programs: Node itself and nothing else',
      severity: 'error',
      from: { path: '^clients/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypesNot: ['core'] },
    },
    {
      name: 'nobody-imports-the-demo',
      severity: 'error',
      from: { path: '^(domain|runbooks|workflows|activities|worker|webhooks)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(demo|test|bench)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(node_modules|dist|\\.firebreak)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
