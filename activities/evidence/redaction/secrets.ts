import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import type { Detector } from './redact.ts';

/** Which formats there are is secretlint's to know: https://github.com/secretlint/secretlint. */
const RULE = '@secretlint/secretlint-rule-preset-recommend';

/** Formats that its preset leaves to other tools, all with a shape of their own. */
const OTHER_SECRETS = [
  // RFC 7519: header, claims, signature.
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g,
  // RFC 7468.
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  // What a word before it calls a secret.
  /(?<=\b(?:api[_-]?key|secret|token|passw(?:or)?d|passwort|contraseña|bearer)["']?\s{0,3}[:=]?\s{0,3}["']?)(?=[^\s"']*[\d_])[^\s"',;]{8,200}/giu,
  // Of cloud and model providers.
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bAIza[0-9A-Za-z_-]{35}/g,
  /\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)[-_][0-9A-Za-z_-]{16,200}/g,
  /\b(?:glpat|hf|npm|pypi|dop_v1|xapp)[-_][0-9A-Za-z_-]{16,200}/g,
];

/** Keys, tokens and passwords. */
export const secrets: Detector = async (text) => {
  const { messages } = await lintSource({
    source: { filePath: '/sample.txt', content: text, contentType: 'text' },
    options: { config: { rules: [{ id: RULE, rule: creator }] }, maskSecrets: true },
  });
  return [
    ...messages.map(({ range: [start, end] }) => ({ start, end, type: 'SECRET' as const })),
    ...OTHER_SECRETS.flatMap((pattern) =>
      [...text.matchAll(pattern)].map((match) => ({
        start: match.index,
        end: match.index + match[0].length,
        type: 'SECRET' as const,
      })),
    ),
  ];
};
