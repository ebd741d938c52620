import type { IncidentView } from '../incident.ts';

const DAY_MS = 86_400_000;

/** EU AI Act, Art. 73(2): the general period for a report, counted from becoming aware of the serious incident. */
const ART_73_GENERAL_DAYS = 15;

/**
 * Questions that regulation and standards put to such an incident. They are pointers for those who decide: whether a
 * duty applies depends on the system, the role and the place, which Firebreak does not know.
 *
 * Sources: NIST AI 100-1 (AI RMF 1.0), functions MANAGE 2.3, 2.4, 4.1, 4.3; NIST AI 600-1; ISO/IEC 42001:2023, clauses 9.1
 * and 10.2, Annex A.6.2.8 (event logs) and A.8.4 (communication of incidents); Regulation (EU) 2024/1689, Art. 3(49),
 * 12, 19, 26(5), 26(6), 73.
 */
export function references(view: IncidentView, atMs: number): string {
  const awareMs = view.milestones.triggered ?? atMs;
  const day = new Date(awareMs).toISOString().slice(0, 10);
  const last = new Date(awareMs + ART_73_GENERAL_DAYS * DAY_MS).toISOString().slice(0, 10);
  const lines = [
    '**NIST AI RMF 1.0, MANAGE** (voluntary): consider MANAGE 2.3 (responding to and recovering from a risk that was not known), 2.4 (superseding or deactivating a system), 4.1 (monitoring after deployment) and 4.3 (communicating incidents). Each action item names the function that it serves. The Generative AI Profile (NIST AI 600-1) has suggested actions on incident disclosure.',
    '**ISO/IEC 42001:2023**: consider clause 10.2 (nonconformity and corrective action) and 9.1 (monitoring and measurement), and in Annex A the controls A.6.2.8 (recording of event logs) and A.8.4 (communication of incidents).',
    `**EU AI Act, Article 73** (reporting of serious incidents): where this is a high-risk AI system, consider whether this was a serious incident as Article 3(49) defines it. The general period for the provider's report ends ${ART_73_GENERAL_DAYS} days after becoming aware; for some incidents it is 2 or 10 days. If the arrival of the alert on ${day} counts as becoming aware, the ${ART_73_GENERAL_DAYS} days end on ${last}.`,
    '**EU AI Act, Article 26(5)**: where others provide the model or the system, consider whether they have to be informed.',
    "**EU AI Act, Article 12** (record-keeping), with Articles 19 and 26(6) on how long logs are kept: consider whether the retention of this record, of the model's own logs and of the samples is long enough.",
  ];
  return [
    'To be considered by those responsible. This is a list of questions, neither legal advice nor a statement of conformity.',
    lines.map((line) => `- ${line}`).join('\n'),
  ].join('\n\n');
}
