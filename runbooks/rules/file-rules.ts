import { defineRules } from './rule.ts';

/** Rules of files, of YAML, and of the shape of a runbook. */
export const FILE_RULES = defineRules({
  'file/unreadable': {
    severity: 'error',
    asks: 'The file or folder can be read, and holds runbooks.',
    why: 'A path that is wrong would silently leave alerts without their runbook.',
    mend: 'Check the path and the rights of the file, which is no pipe or device; a folder needs at least one .yaml or .yml file.',
  },
  'file/too-large': {
    severity: 'error',
    asks: 'A runbook is a short text: at most 256 KiB.',
    why: 'A hundred steps take about 20 KiB. More is the wrong file, or an attack on the parser.',
    mend: 'Check that this is the file you mean; split what is really several runbooks.',
  },
  'file/encoding': {
    severity: 'error',
    asks: 'The file is UTF-8.',
    why: 'In another encoding the names that people read and the names that are compared are not the same.',
    mend: 'Save the file as UTF-8.',
  },
  'file/scenario': {
    severity: 'warning',
    asks: 'A scenario is tested, not validated as a runbook.',
    why: 'The file is a scenario (kind: Scenario), so it was not looked at here.',
    mend: 'Use firebreak runbook test for scenarios.',
  },
  'yaml/syntax': {
    severity: 'error',
    asks: 'The file is one YAML 1.2 document without duplicate keys.',
    why: 'Of two equal keys one would silently win, and of two documents only the first would be read.',
    mend: 'Mend the place that is marked, as the message says. Text with ": " in it, or that starts with * & ! % @ ` or {{, stands in quotes.',
  },
  'yaml/directive': {
    severity: 'error',
    asks: 'There are no YAML directives (%YAML, %TAG).',
    why: 'Under %YAML 1.1 the words on, off, yes and no are true and false, and 010 is 8.',
    mend: 'Take the line out: runbooks are YAML 1.2.',
  },
  'yaml/characters': {
    severity: 'error',
    asks: 'The text has no control characters, and none that change the direction of writing.',
    why: 'A reviewer would see another text than the one that is run.',
    mend: 'Delete the character, or write it as an escape in double quotes.',
  },
  'yaml/depth': {
    severity: 'error',
    asks: 'Lists and maps are nested at most 32 deep.',
    why: 'A runbook needs ten levels; deeper nesting is a slip of a bracket, or an attack on the parser.',
    mend: 'Close the brackets that are open before the place that is marked.',
  },
  'yaml/alias': {
    severity: 'error',
    asks: 'Aliases are few, not recursive, and have an anchor before them.',
    why: 'Aliases of aliases multiply: nine lines can stand for a thousand million values.',
    mend: 'Write the values out.',
  },
  'yaml/merge-key': {
    severity: 'error',
    asks: 'Merge keys (<<) are not used.',
    why: 'YAML 1.2 has none, so whether they merge depends on who reads the file.',
    mend: 'Write the fields out, or share a whole value with an anchor and an alias.',
  },
  'yaml/tag': {
    severity: 'error',
    asks: 'Tags (!name) are not used.',
    why: 'A tag changes what a value is, and JSON, which plans are kept in, has none.',
    mend: 'Write the plain value.',
  },
  'yaml/key': {
    severity: 'error',
    asks: 'Keys are plain text, and not __proto__.',
    why: 'Other keys cannot be written as JSON, or mean something else to JavaScript than to the reader.',
    mend: 'Use a plain name.',
  },
  'schema/missing-field': {
    severity: 'error',
    asks: 'Every field that is needed is there.',
    why: 'What it should be cannot be guessed.',
    mend: 'Add the field; the message says what it takes.',
  },
  'schema/unknown-field': {
    severity: 'error',
    asks: 'There are no fields that nobody reads.',
    why: 'A misspelt field would silently do nothing.',
    mend: 'Use the name that the message suggests, or take the field out.',
  },
  'schema/wrong-type': {
    severity: 'error',
    asks: 'A field holds the type of value that it takes.',
    why: 'Text, numbers, lists and maps are not turned into one another.',
    mend: 'Write the type of value that the message names; put text that looks like a number in quotes.',
  },
  'schema/wrong-value': {
    severity: 'error',
    asks: 'A field holds a value that it takes.',
    why: 'The value is outside what the field is made for.',
    mend: 'Choose a value within what the message names.',
  },
  'duration/too-long': {
    severity: 'error',
    asks: 'A duration is at most 30d.',
    why: 'An incident of more than a month is a slip of the unit.',
    mend: 'Check the unit: ms, s, m, h, d.',
  },
});
