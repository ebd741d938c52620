import type { Problem } from './problem.ts';

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
 * Problems as plain text: `file:line:column severity: message [rule]`, the line and a caret under the place. Ends with how
 * many there are; empty for none.
 */
export function formatProblems(problems: readonly Problem[]): string {
  if (problems.length === 0) return '';
  const blocks = problems.map((problem) =>
    [
      `${problem.file}:${problem.line}:${problem.column} ${problem.severity}: ${problem.message} [${problem.rule}]`,
      ...excerptOf(problem),
    ].join('\n'),
  );
  return `${blocks.join('\n\n')}\n\n${countProblems(problems)}\n`;
}

/** `2 errors and 1 warning in 1 file`. */
function countProblems(problems: readonly Problem[]): string {
  const counted = (['error', 'warning'] as const).flatMap((severity) => {
    const count = problems.filter((problem) => problem.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count === 1 ? '' : 's'}`];
  });
  const files = new Set(problems.map((problem) => problem.file)).size;
  return `${counted.join(' and ')} in ${files} file${files === 1 ? '' : 's'}`;
}

/**
 * Problems as workflow commands of GitHub Actions, one a line, shown as annotations of a pull request
 * (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message). Escaped as
 * the runner reads them (actions/toolkit, packages/core/src/command.ts).
 * @param pathOf how annotations name a file: relative to the root of the repository.
 */
export function githubAnnotations(problems: readonly Problem[], pathOf: (file: string) => string): string {
  return problems
    .map(({ file, line, column, length, severity, rule, message }) => {
      const properties = {
        file: pathOf(file),
        line,
        col: column,
        endColumn: column + length,
        title: rule,
      };
      const listed = Object.entries(properties).map(
        ([name, value]) => `${name}=${escapeProperty(String(value))}`,
      );
      return `::${severity} ${listed.join(',')}::${escapeData(message)}`;
    })
    .join('\n');
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
