/** $1 to $6, by place. Times are ISO 8601: `$3::timestamptz`. */
const PARAMETERS = 6;

/** What is wrong with a query before it is sent; undefined where nothing is. */
export function postgresQueryProblem(query: string): string | undefined {
  if (!/^\s*(select|with)\b/i.test(query)) return 'the query has to be one SELECT';
  const highest = highestParameter(query);
  if (highest > PARAMETERS) return `$${highest} is no parameter: there are $1 to $${PARAMETERS}`;
  for (const place of [1, 2, 3, 4]) {
    if (!new RegExp(`\\$${place}(?!\\d)`).test(query)) {
      return `the query does not use $${place} ($1 namespace, $2 name, $3 from, $4 to): it would take other outputs`;
    }
  }
  return undefined;
}

/** 0 where there is none. */
export function highestParameter(query: string): number {
  return Math.max(0, ...[...query.matchAll(/\$(\d{1,3})/g)].map(([, place]) => Number(place)));
}
