/** What users copy from deploy/ is accepted by the tools of those who read it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import '../setup/provided.ts';

const run = promisify(execFile);

describe('deploy/', () => {
  it.each(['firebreak', 'firebreak-library', 'firebreak-operations'])(
    'has alert rules (%s) that promtool accepts, and that fire and stay quiet as their tests say',
    async (name) => {
      const { promtool } = inject('tools');
      const checked = await run(promtool, ['check', 'rules', `deploy/prometheus/${name}.rules.yml`]);
      expect(checked.stdout).toContain('SUCCESS');
      const tested = await run(promtool, ['test', 'rules', `deploy/prometheus/${name}.rules.test.yml`]);
      expect(tested.stdout).toContain('SUCCESS');
    },
  );

  it('has an Alertmanager configuration that amtool accepts', async () => {
    const checked = await run(inject('tools').amtool, [
      'check-config',
      'deploy/alertmanager/alertmanager.yml',
    ]);
    expect(checked.stdout).toContain('SUCCESS');
  });

  it('has rights that the API server accepts', async () => {
    const { kube } = inject('stack');
    const applied = await run(inject('tools').kubectl, [
      `--kubeconfig=${kube.kubeconfigPath}`,
      'apply',
      '--dry-run=client',
      '-f',
      'deploy/rbac.yaml',
    ]);
    expect(applied.stdout).toContain('role.rbac.authorization.k8s.io');
  });
});
