import fc from 'fast-check';

/** Pieces that mean something to one of the languages in which our texts are shown or evaluated. */
const PIECES = [
  ...[
    '#',
    '## ',
    '\n',
    '\r\n',
    '\n\n',
    '`',
    '```\n',
    '|',
    '> ',
    '- ',
    '1. ',
    '---',
    '===',
    '*',
    '_',
    '~~',
    '!',
  ],
  ...[
    '[x](http://evil.example)',
    '![x](http://evil.example)',
    '<script>',
    '<!--',
    '-->',
    '<b>',
    '&lt;',
    '&#35;',
  ],
  ...['http://evil.example', 'www.evil.example', 'a@evil.example', '@channel', '#12', ':fire:', '[ ] '],
  ...['<!channel>', '<!here|x>', '<@U123>', '<#C123>', '<http://evil.example|click>'],
  ...['"', "'", '\\', '{', '}', '(', ')', ',', '=~', '} or vector(1) #', '$d', '[5m]', '\\"'],
  ...[`\${{ alert.labels.x }}`, '${{', '}}', 'metrics.harmRate', 'true || ', '{{', '%s'],
  ...[
    '\u202e',
    '\u2028',
    '\u0000',
    '\u001b[31m',
    '\ud800',
    '\u200b',
    '模型',
    '🔥',
    'x',
    ' ',
    '__proto__',
    'constructor',
  ],
];

/** Text as an alert, a model or a person could write it to be taken for code. */
export const hostileText = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
);

/** Labels or annotations with such values under any name. */
export const hostileLabels = fc.dictionary(
  fc.oneof(
    fc.constantFrom('alertname', 'severity', 'summary', 'pod', 'cluster', '__proto__', 'x'),
    hostileText,
  ),
  hostileText,
  { maxKeys: 8 },
);
