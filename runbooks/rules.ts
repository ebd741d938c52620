/** Every rule that a runbook is checked by: its id and what it asks for. Messages say more; ids are stable. */
export const RULES = {
  'file/unreadable': 'The file or folder can be read, and holds runbooks.',
  'file/too-large': 'A runbook is a short text.',
  'yaml/syntax': 'The file is one YAML 1.2 document without duplicate keys.',
  'yaml/alias': 'Aliases are few and not recursive.',
  'yaml/merge-key': 'Merge keys (<<) are not used: YAML 1.2 has none.',
  'yaml/tag': 'Tags (!name) are not used.',
  'yaml/key': 'Keys are plain text.',
  'schema/missing-field': 'Every field that is needed is there.',
  'schema/unknown-field': 'There are no fields that nobody reads.',
  'schema/wrong-type': 'A field holds the type of value that it takes.',
  'schema/wrong-value': 'A field holds a value that it takes.',
  'runbook/duplicate-name': 'Every runbook loaded has a name of its own.',
  'match/syntax':
    'Entries of match are matchers as Alertmanager writes them, regular expressions in RE2 syntax.',
  'match/empty': 'A runbook says which alerts it answers; only the one named default matches nothing.',
  'target/label':
    'Fields of the target take labels of correlateBy only, so that one incident has one target.',
  'target/template': `Templates in the target have the form \${{ labels.name }}.`,
  'target/missing': 'Steps that act on a target have one.',
  'metrics/unknown': 'A ratio divides two counter metrics of the runbook.',
  'metrics/label': 'Labels of a metric are bound to a field of the target or a quoted literal.',
  'metrics/bind':
    'Placeholders of a PromQL text and the entries of bind are the same, and stand outside quotes.',
  'steps/unknown-type': 'uses names a step type.',
  'steps/duplicate-id': 'Every step has an id of its own.',
  'steps/unknown-need': 'needs names steps of the runbook.',
  'steps/cycle': 'No step needs itself, directly or through others.',
  'steps/conditions': 'A step has when or whenever, not both.',
  'steps/timeout': 'A step may take at least as long as the wait inside it.',
  'steps/attach-to': 'attachTo names a ticket step.',
  'rollback/approval': 'Every rollback asks people.',
  'rollback/verify': 'Every rollback is followed by a verify that needs it.',
  'divert/restore': 'Every divert is followed by a restore.',
  'restore/proof': 'A restore starts only after a verify has succeeded.',
  'verify/metrics': 'A verify has the counters that it counts.',
  'cel/syntax': 'Expressions are CEL.',
  'cel/type': 'An expression gives the type that its field takes.',
  'cel/limit': 'Expressions are short.',
  'cel/not-allowed': 'Expressions use the part of CEL that is decided the same way whatever the data.',
  'cel/unknown-name': 'Expressions read metrics, steps, target and alert.labels, and fields that these have.',
  'cel/unknown-metric': 'Metrics in expressions are metrics of the runbook.',
  'cel/unknown-step': 'Steps in expressions are steps of the runbook.',
  'cel/step-not-needed': 'A step reads outputs of steps that it needs, directly or through others.',
} as const;

export type RuleId = keyof typeof RULES;

/** One mistake, with where it is and what to write instead. Lines and columns count from 1. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  /** Characters that the caret marks; at least 1. */
  length: number;
  rule: RuleId;
  message: string;
  /** Where in the document: `spec.steps[2].needs[0]`. */
  path: string;
  /** The line of the file, cut to a readable length; absent where the file could not be read. */
  excerpt?: string;
}

export type Path = readonly (string | number)[];

/** `spec.steps[2].with.to`, with keys that are no plain names in quotes. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}
