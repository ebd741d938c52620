import type { Problem } from './rules.ts';

/** Tabs in excerpts become one space, so that the caret stands where it should. */
function excerptOf(problem: Problem): string[] {
  if (problem.excerpt === undefined) return [];
  const line = problem.excerpt.replace(/[\p{Cc}\p{Cf}]/gu, ' ');
  const gutter = String(problem.line);
  const marks = Math.max(1, Math.min(problem.length, line.length - problem.column + 1));
  return [
    `  ${gutter} | ${line}`,
    `  ${' '.repeat(gutter.length)} | ${' '.repeat(problem.column - 1)}${'^'.repeat(marks)}`,
  ];
}

/**
 * Problems as plain text: `file:line:column rule`, the message, the line and a caret under the place. Ends with how many
 * there are; empty for none.
 */
export function formatProblems(problems: readonly Problem[]): string {
  if (problems.length === 0) return '';
  const blocks = problems.map((problem) =>
    [
      `${problem.file}:${problem.line}:${problem.column} ${problem.message} [${problem.rule}]`,
      ...excerptOf(problem),
    ].join('\n'),
  );
  const files = new Set(problems.map((problem) => problem.file)).size;
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'} in ${files} file${files === 1 ? '' : 's'}`;
  return `${blocks.join('\n\n')}\n\n${count}\n`;
}
