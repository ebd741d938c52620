/**
 * `npm test`: every test on real parts. Passes its arguments on to vitest (`npm test -- --project unit`), and writes the
 * runner's own count to .firebreak/test-report/summary.txt, which is also the last line printed.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const reportDir = path.join(root, '.firebreak', 'test-report');
const reportFile = path.join(reportDir, 'report.json');
const summaryFile = path.join(reportDir, 'summary.txt');

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

mkdirSync(reportDir, { recursive: true });
for (const file of [reportFile, summaryFile]) rmSync(file, { force: true });

const vitest = spawn(
  process.execPath,
  [
    path.join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${reportFile}`,
    ...process.argv.slice(2),
  ],
  {
    cwd: root,
    stdio: 'inherit',
    // Dozens of processes load the same modules: compiled once, each starts in two thirds of the time.
    env: { NODE_COMPILE_CACHE: path.join(root, '.firebreak', 'compile-cache'), ...process.env },
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));

vitest.on('exit', (code) => {
  const summary = summarise(code);
  writeFileSync(summaryFile, `${summary.text}\n`);
  console.log(summary.text);
  process.exitCode = code === 0 && summary.failed === 0 && summary.passed > 0 ? 0 : code || 1;
});

/**
 * A file that could not be loaded, or whose setup failed, has no failed test of its own: it counts as one. So does a run
 * that failed without any such file, by an error outside of tests.
 */
function summarise(code: number | null): { text: string; passed: number; failed: number } {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(reportFile, 'utf8')) as Report;
  } catch {
    return { text: '0 passed, 1 failed', passed: 0, failed: 1 };
  }
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + brokenFiles || (code === 0 ? 0 : 1);
  const skipped = report.numPendingTests > 0 ? `, ${report.numPendingTests} skipped` : '';
  return {
    text: `${report.numPassedTests} passed, ${failed} failed${skipped}`,
    passed: report.numPassedTests,
    failed,
  };
}
