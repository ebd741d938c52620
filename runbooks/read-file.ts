import { readFile, stat } from 'node:fs/promises';
import type { Problem } from './problem.ts';
import type { RuleId } from './rules.ts';
import { RULES } from './rules.ts';
import { MAX_FILE_BYTES } from './yaml-source.ts';

/** The text of a runbook or scenario, or why it cannot be read. */
export async function readYamlFile(file: string): Promise<{ text: string } | { problem: Problem }> {
  let bytes: Buffer;
  try {
    const status = await stat(file);
    // Opening a pipe waits for a writer, and a device may do anything.
    if (!status.isFile()) {
      const message = `${status.isDirectory() ? 'is a folder' : 'is no regular file'}: name a file of text`;
      return { problem: fileProblem(file, 'file/unreadable', message) };
    }
    if (status.size > MAX_FILE_BYTES) {
      const message = `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`;
      return { problem: fileProblem(file, 'file/too-large', message) };
    }
    bytes = await readFile(file);
  } catch (error) {
    return { problem: unreadable(file, error) };
  }
  try {
    // A byte order mark stays: offsets are those of the file.
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { problem: encodingProblem(file, bytes) };
  }
}

export function unreadable(file: string, error: unknown): Problem {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return fileProblem(file, 'file/unreadable', `cannot be read (${code}): check the path`);
}

/** A problem of a file as a whole. */
export function fileProblem(file: string, rule: RuleId, message: string): Problem {
  const severity = RULES[rule]?.severity ?? 'error';
  return { file, line: 1, column: 1, length: 1, rule, severity, message, path: '' };
}

/** Marks the first byte that is none of UTF-8: the decoder puts U+FFFD there. */
function encodingProblem(file: string, bytes: Buffer): Problem {
  const before = bytes.toString('utf8').split('\uFFFD')[0] ?? '';
  const lines = before.split('\n');
  const message = 'the file is not UTF-8: save it in this encoding';
  return {
    ...fileProblem(file, 'file/encoding', message),
    line: lines.length,
    column: (lines.at(-1)?.length ?? 0) + 1,
  };
}
