import { createHash } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { ResumePlan } from '../../domain/gitops-plan.ts';

/** SHA-256 (hex) of what people approve when a sync resumes: target, revision, objects, and who has to approve. */
export function resumePlanHash({ target, revision, objects, approval }: Omit<ResumePlan, 'hash'>): string {
  const text = canonicalJson({
    target,
    revision,
    objects,
    approval: {
      from: [...approval.from].sort(),
      count: approval.count,
      ...(approval.breakGlass ? { breakGlass: true } : {}),
    },
  });
  return createHash('sha256').update(`firebreak-resume-plan-v1\n${text}`).digest('hex');
}
