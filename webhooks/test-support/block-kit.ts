/**
 * What Slack refuses of blocks and views, by its reference: https://docs.slack.dev/reference/block-kit/blocks,
 * .../block-elements/button-element, .../composition-objects/confirmation-dialog-object, https://docs.slack.dev/reference/views/modal-views
 */
const LIMITS = {
  blocks: 50,
  viewBlocks: 100,
  header: 150,
  sectionText: 3_000,
  fields: 10,
  fieldText: 2_000,
  contextElements: 10,
  richText: 3_000,
  url: 3_000,
  elements: 25,
  buttonText: 75,
  buttonValue: 2_000,
  actionId: 255,
  confirmTitle: 100,
  confirmText: 300,
  confirmButton: 30,
  viewTitle: 24,
  viewButton: 24,
  callbackId: 255,
  privateMetadata: 3_000,
  label: 2_000,
  inputLength: 3_000,
} as const;
/** The least that Slack was seen to refuse with `msg_blocks_too_long`; not documented: https://github.com/slackapi/bolt-js/issues/2509 */
const MESSAGE_TEXT = 11_300;

type Json = Record<string, unknown>;

/** Problems of a message's blocks, its size included. */
export function problemsOfMessage(blocks: unknown): string[] {
  const size = textIn(blocks);
  return [
    ...problemsOfBlocks(blocks, LIMITS.blocks),
    ...(size > MESSAGE_TEXT ? [`msg_blocks_too_long: ${size} characters of text`] : []),
  ];
}

/** Problems that Slack would answer with; also everything that could be read as markup, which Slack would take. */
function problemsOfBlocks(blocks: unknown, most: number): string[] {
  if (!Array.isArray(blocks) || blocks.length === 0) return ['blocks: none'];
  return [
    ...(blocks.length > most ? [`${blocks.length} blocks`] : []),
    ...blocks.flatMap((block: Json, index) =>
      problemsOfBlock(block).map((problem) => `blocks[${index}]: ${problem}`),
    ),
  ];
}

function problemsOfBlock(block: Json): string[] {
  switch (block.type) {
    case 'divider':
      return [];
    case 'header':
      return problemsOfText(block.text, LIMITS.header, 'header');
    case 'section': {
      const { text, fields = [] } = block as { text?: unknown; fields?: unknown[] };
      if (fields.length > LIMITS.fields) return [`${fields.length} fields`];
      return [
        ...(text === undefined && fields.length > 0
          ? []
          : problemsOfText(text, LIMITS.sectionText, 'section')),
        ...fields.flatMap((field) => problemsOfText(field, LIMITS.fieldText, 'field')),
      ];
    }
    case 'context': {
      const elements = block.elements as Json[];
      if (elements.length > LIMITS.contextElements) return [`${elements.length} elements`];
      return elements.flatMap((element) => problemsOfText(element, LIMITS.sectionText, 'context'));
    }
    case 'input': {
      const element = block.element as Json;
      return [
        ...problemsOfText(block.label, LIMITS.label, 'label'),
        ...(Number(element.max_length) > LIMITS.inputLength ? ['max_length'] : []),
      ];
    }
    case 'actions': {
      const elements = block.elements as Json[];
      const ids = elements.map(({ action_id }) => action_id);
      return [
        ...(elements.length === 0 || elements.length > LIMITS.elements
          ? [`${elements.length} elements`]
          : []),
        ...(new Set(ids).size < ids.length ? ['action ids twice'] : []),
        ...elements.flatMap(problemsOfButton),
      ];
    }
    case 'rich_text':
      return (block.elements as { elements: Json[] }[]).flatMap(({ elements }) =>
        elements.flatMap(problemsOfRichText),
      );
    default:
      return [`type ${String(block.type)} is not expected here`];
  }
}

/** Rich text has no markup: what is in it is shown as it is. */
function problemsOfRichText({ type, text, url, channel_id }: Json): string[] {
  switch (type) {
    case 'text':
      return typeof text === 'string' && text !== '' && text.isWellFormed() && text.length <= LIMITS.richText
        ? []
        : ['rich text: none, half a character, or too long'];
    case 'link':
      return String(url).length <= LIMITS.url ? [] : ['link: too long'];
    case 'channel':
      return typeof channel_id === 'string' ? [] : ['channel: no id'];
    default:
      return [`rich text: type ${String(type)} is not expected here`];
  }
}

function textIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + textIn(one), 0);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [key, inner]) =>
      sum + (typeof inner === 'string' ? (key === 'text' ? inner.length : 0) : textIn(inner)),
    0,
  );
}

export function problemsOfView(view: Json): string[] {
  return [
    ...problemsOfText(view.title, LIMITS.viewTitle, 'title'),
    ...problemsOfText(view.submit, LIMITS.viewButton, 'submit'),
    ...problemsOfText(view.close, LIMITS.viewButton, 'close'),
    ...(view.type === 'modal' ? [] : ['type']),
    ...(String(view.callback_id).length > LIMITS.callbackId ? ['callback_id'] : []),
    ...(String(view.private_metadata).length > LIMITS.privateMetadata ? ['private_metadata'] : []),
    ...problemsOfBlocks(view.blocks, LIMITS.viewBlocks),
  ];
}

function problemsOfButton(element: Json): string[] {
  const confirm = element.confirm as Json | undefined;
  return [
    ...problemsOfText(element.text, LIMITS.buttonText, 'button'),
    ...(String(element.value).length > LIMITS.buttonValue ? ['button: value'] : []),
    ...(String(element.action_id).length > LIMITS.actionId ? ['button: action_id'] : []),
    ...(element.style === undefined || ['primary', 'danger'].includes(String(element.style))
      ? []
      : ['button: style']),
    ...(confirm === undefined
      ? []
      : [
          ...problemsOfText(confirm.title, LIMITS.confirmTitle, 'confirm.title'),
          ...problemsOfText(confirm.text, LIMITS.confirmText, 'confirm.text'),
          ...problemsOfText(confirm.confirm, LIMITS.confirmButton, 'confirm.confirm'),
          ...problemsOfText(confirm.deny, LIMITS.confirmButton, 'confirm.deny'),
        ]),
  ];
}

function problemsOfText(value: unknown, length: number, where: string): string[] {
  const { type, text } = (value ?? {}) as { type?: unknown; text?: unknown };
  if (typeof text !== 'string' || text.trim() === '') return [`${where}: no text`];
  return [
    ...(type === 'plain_text' ? [] : [`${where}: ${String(type)} would show markup`]),
    ...(text.length > length ? [`${where}: ${text.length} characters`] : []),
    ...(text.isWellFormed() ? [] : [`${where}: half a character`]),
  ];
}
