/**
 * Markdown of a model, which nobody trusts, as elements. HTML in it is shown as text; what comes out is sanitised all the same. Nothing in
 * it makes the browser load anything: an image whose address holds the conversation would tell it to a stranger.
 */
import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import type { Blocks } from './blocks.ts';
import { announce, make, makeButton } from './element.ts';

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const markdown = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => (/^<br\s*\/?>\s*$/i.test(text) ? '<br>' : escapeHtml(text)),
    image: ({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || 'image')}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

const ALLOWED_TAGS = [
  ...['a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol'],
  ...['p', 'pre', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul', '#text'],
];

const sanitising = {
  ALLOWED_TAGS,
  ALLOWED_ATTR: ['href', 'title', 'class', 'align', 'start'],
  // Their values are no addresses, and are not to be looked at as such.
  ADD_URI_SAFE_ATTR: ['align', 'start'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  // Not relative ones either: they would lead into this page.
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

/** As plain text where it is nested deeper than can be read. */
export function renderMarkdown(text: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(toHtml(text), sanitising);
  for (const link of fragment.querySelectorAll('a'))
    Object.assign(link, { target: '_blank', rel: 'noopener noreferrer' });
  for (const pre of fragment.querySelectorAll('pre')) pre.replaceWith(dressCode(pre));
  for (const table of fragment.querySelectorAll('table')) {
    const frame = make('div', { className: 'table', role: 'region', ariaLabel: 'Table', tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
  return fragment;
}

function toHtml(text: string): string {
  try {
    return markdown.parse(text, { async: false });
  } catch {
    return `<pre><code>${escapeHtml(text)}</code></pre>`;
  }
}

/** With its language, and a button that copies it. */
function dressCode(pre: HTMLPreElement): HTMLElement {
  const language = /language-([\w+#.-]+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? '';
  const label = language ? `Code, ${language}` : 'Code';
  const body = make('pre', { tabIndex: 0, role: 'region', ariaLabel: label }, ...pre.childNodes);
  const copy = makeButton('Copy', async () => {
    const isCopied = await navigator.clipboard.writeText(body.textContent).then(
      () => true,
      () => false,
    );
    announce(isCopied ? 'Code copied.' : 'The browser did not allow copying.');
    copy.textContent = isCopied ? 'Copied' : 'Not allowed';
    setTimeout(() => (copy.textContent = 'Copy'), 2_000);
  });
  return make('div', { className: 'code' }, make('div', { className: 'code-head' }, language, copy), body);
}

/** Shows blocks within a parent, and touches only those that are not as they were. */
export function createBlockView(parent: HTMLElement): (blocks: Blocks) => void {
  let shown: { readonly text: string; readonly element: HTMLElement }[] = [];
  return (blocks) => {
    for (const { element } of shown.slice(blocks.length)) element.remove();
    shown = blocks.map((text, index) => {
      const old = shown[index];
      if (old?.text === text) return old;
      const fresh = make('div', { className: 'block' }, renderMarkdown(text));
      if (!old) parent.append(fresh);
      return { text, element: old ? exchange(old.element, fresh) : fresh };
    });
  };
}

/** Returns the element that now stands there. A program that grows keeps its own: where it is scrolled to, and its button. */
function exchange(old: HTMLElement, fresh: HTMLElement): HTMLElement {
  const [before, after] = [old, fresh].map((block) =>
    block.childElementCount === 1 ? block.querySelector(':scope > .code > pre > code') : null,
  );
  if (!before || !after || before.className !== after.className) {
    old.replaceWith(fresh);
    return fresh;
  }
  before.textContent = after.textContent;
  return old;
}
