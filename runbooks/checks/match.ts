import { RE2JSSyntaxException } from 're2js';
import { parseMatcher } from '../../domain/matcher.ts';
import { NAMED_RUNBOOKS, regexOf } from '../match.ts';
import type { Problem } from '../problem.ts';
import type { YamlSource } from '../yaml-source.ts';
import type { RunbookView } from './view.ts';

/** Matchers, and that there are some. */
export function checkMatch(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  if (view.match?.length === 0 && !NAMED_RUNBOOKS.includes(view.name ?? '')) {
    const message = 'the runbook answers no alert: add a matcher such as alertname="AiHarmfulOutputRateHigh"';
    problems.push(source.keyProblem('match/empty', ['spec', 'match'], message));
  }
  for (const [index, text] of (view.match ?? []).entries()) {
    if (typeof text !== 'string') continue;
    const path = ['spec', 'match', index];
    const parsed = parseMatcher(text);
    if (!parsed.ok) {
      const span = { start: parsed.at, end: Math.max(parsed.at + 1, text.length) };
      problems.push(source.textProblem('match/syntax', path, span, parsed.message));
    } else if (parsed.matcher.op.endsWith('~')) {
      try {
        regexOf(parsed.matcher);
      } catch (error) {
        const reason = error instanceof RE2JSSyntaxException ? error.message : 'it cannot be read';
        const message = `no regular expression in RE2 syntax, which has no look-around and no back-references: ${reason}`;
        problems.push(source.problem('match/syntax', path, message));
      }
    }
  }
  return problems;
}
