/**
 * Finding and making elements, typed. Nothing here takes HTML.
 */
type Child = Node | string | undefined | false;

/** The element of the document with this id. @throws `TypeError` when the page has none of that kind */
export function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`The page has no ${kind.name} with the id ${id}.`);
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Partial<HTMLElementTagNameMap[Tag]> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

export function makeButton(
  text: string,
  onclick: () => unknown,
  properties: Partial<HTMLButtonElement> = {},
) {
  return make('button', { type: 'button', onclick, ...properties }, text);
}

/** Says it to whoever listens to the page, once. */
export function announce(sentence: string) {
  find('announcer', HTMLParagraphElement).textContent = sentence;
}
