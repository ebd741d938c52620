/** Path of an incident's plot below the server's address. */
export function plotPath(incidentId: string): string {
  return `/api/v1/incidents/${encodeURIComponent(incidentId)}/harm.svg`;
}

/**
 * Where the plot of an incident is, as Markdown: a link and a command, not a picture, since viewers of Markdown neither send
 * a token nor show data URIs.
 * @param incidentId ours, of letters, digits and dashes.
 * @param publicUrl how people reach this server; absent: no link.
 */
export function plotReference(incidentId: string, publicUrl: string | undefined): string {
  const command = `\`firebreak incident plot ${incidentId} --output harm.svg\``;
  if (publicUrl === undefined) return `The plot: ${command}.`;
  const base = publicUrl.replace(/\/+$/, '');
  return `[The plot](${base}${plotPath(incidentId)}) (with your API token), or ${command}.`;
}
