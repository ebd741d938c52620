import { isScalar, parseAllDocuments, visit, type YAMLMap } from 'yaml';

/** Aliases of a manifest that was made to grow; ours have none. */
const MAX_ALIASES = 100;

/**
 * Which of the images a manifest names: as they are, as Kustomize's `images` (name, newName, newTag, digest), or as values of
 * a chart (registry, repository, tag, digest).
 * @param text YAML or JSON of any kind; what cannot be read names none.
 */
export function imagesNamedIn(text: string, images: readonly string[]): Set<string> {
  const named = new Set<string>();
  // All scalars are texts, so that a tag 1.10 is not the number 1.1.
  for (const document of documentsOf(text)) {
    visit(document, {
      Scalar(_key, { value }) {
        if (typeof value === 'string' && images.includes(value)) named.add(value);
      },
      Map(_key, map) {
        for (const written of composedIn(map))
          for (const image of images) if (`/${image}`.endsWith(`/${written}`)) named.add(image);
      },
    });
  }
  return named;
}

function documentsOf(text: string) {
  try {
    const documents = parseAllDocuments(text, { schema: 'failsafe', uniqueKeys: false, logLevel: 'silent' });
    if (!Array.isArray(documents)) return [];
    // Throws for what expands beyond the limit.
    for (const document of documents) document.toJS({ maxAliasCount: MAX_ALIASES });
    return documents;
  } catch {
    return [];
  }
}

/** `repository:tag` and the like, of one entry. */
function composedIn(map: YAMLMap): string[] {
  const at = (key: string): string | undefined => {
    const node = map.get(key, true);
    return isScalar(node) && typeof node.value === 'string' && node.value !== '' ? node.value : undefined;
  };
  const repository = at('newName') ?? at('repository') ?? at('name');
  if (repository === undefined) return [];
  const registry = at('registry');
  const name = registry === undefined ? repository : `${registry}/${repository}`;
  const tag = at('newTag') ?? at('tag');
  const digest = at('digest');
  return [
    ...(tag === undefined ? [] : [`${name}:${tag}`]),
    ...(digest === undefined ? [] : [`${name}@${digest}`]),
    ...(tag === undefined || digest === undefined ? [] : [`${name}:${tag}@${digest}`]),
  ];
}
