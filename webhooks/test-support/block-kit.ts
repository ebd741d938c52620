/**
 * What Slack refuses of blocks and views, by its reference: https://docs.slack.dev/reference/block-kit/blocks,
 * .../block-elements/button-element, .../composition-objects/confirmation-dialog-object, https://docs.slack.dev/reference/views/modal-views
 */
const LIMITS = {
  blocks: 50,
  viewBlocks: 100,
  sectionText: 3_000,
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

type Json = Record<string, unknown>;

/** Problems that Slack would answer with; also everything that could be read as markup, which Slack would take. */
export function problemsOfBlocks(blocks: unknown, most: number = LIMITS.blocks): string[] {
  if (!Array.isArray(blocks)) return ['blocks: no array'];
  const problems = blocks.length > most ? [`${blocks.length} blocks`] : [];
  blocks.forEach((block: Json, index) => {
    const say = (problem: string) => problems.push(`blocks[${index}]: ${problem}`);
    switch (block.type) {
      case 'section':
        problems.push(...problemsOfText(block.text, LIMITS.sectionText, `blocks[${index}]`));
        break;
      case 'input': {
        const element = block.element as Json;
        problems.push(...problemsOfText(block.label, LIMITS.label, `blocks[${index}].label`));
        if (Number(element.max_length) > LIMITS.inputLength) say('max_length');
        break;
      }
      case 'actions': {
        const elements = block.elements as Json[];
        if (elements.length === 0 || elements.length > LIMITS.elements) say(`${elements.length} elements`);
        const ids = elements.map(({ action_id }) => action_id);
        if (new Set(ids).size < ids.length) say('action ids twice');
        for (const element of elements) problems.push(...problemsOfButton(element));
        break;
      }
      case 'rich_text':
        break;
      default:
        say(`type ${String(block.type)} is not expected here`);
    }
  });
  return problems;
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
  ];
}
