import { type AdfNode, paragraph, textNode, textOf, toAdf } from './adf.ts';

/** What the section is found by: people see it, and may write anywhere but in it. */
const HEADING = 'Kept up to date by Firebreak; write below.';

/** The section of a description that Firebreak keeps up to date. */
export function statusPanel(markdown: string): AdfNode {
  return {
    type: 'panel',
    attrs: { panelType: 'info' },
    content: [paragraph(textNode(HEADING, [{ type: 'strong' }])), ...toAdf(markdown)],
  };
}

/**
 * A description with another status and everything else as it is.
 * @returns undefined where it says so already, or where people took the section out or copied it: then it stays so.
 */
export function replacePanel(content: readonly AdfNode[], markdown: string): AdfNode[] | undefined {
  const ours = content.filter((node) => node.type === 'panel' && textOf(node).startsWith(HEADING));
  const [standing] = ours;
  const panel = statusPanel(markdown);
  // By its text: Jira adds ids to nodes.
  if (standing === undefined || ours.length > 1 || textOf(standing) === textOf(panel)) return undefined;
  return content.map((node) => (node === standing ? panel : node));
}
