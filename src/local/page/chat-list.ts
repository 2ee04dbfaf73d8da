/**
 * The conversations that the gateway keeps, newest first.
 */
import { toHash } from './address.ts';
import { announce, find, make, makeButton } from './element.ts';
import type { ChatSummary, Gateway } from './gateway.ts';

const PAGE = 20;
const LONGEST_PAGE = 100;

export type ChatList = {
  /** Reads the list anew, as long as it was, or its newest 100. */
  refresh(gateway: Gateway): Promise<void>;
  /** Marks the conversation that is open; nothing for a new one. */
  mark(id: string | undefined): void;
};

/** @param onDeleted called with the conversation that is no more */
export function createChatList(onDeleted: (id: string) => void): ChatList {
  const list = find('chats', HTMLUListElement);
  const note = find('chats-note', HTMLParagraphElement);
  const more = find('more-chats', HTMLButtonElement);
  let shown: ChatSummary[] = [];
  let next: string | undefined;
  let marked: string | undefined;
  let latest: Gateway | undefined;
  let loads = 0;

  const draw = (gateway: Gateway) => {
    list.replaceChildren(...shown.map((chat) => drawChat(chat, () => remove(gateway, chat))));
    more.hidden = next === undefined;
    note.textContent = shown.length === 0 ? 'Conversations that the gateway keeps appear here.' : '';
    mark(marked);
  };
  const mark = (id: string | undefined) => {
    marked = id;
    for (const link of list.querySelectorAll('a'))
      link.ariaCurrent = link.hash === toHash(id) ? 'page' : null;
  };
  const load = async (gateway: Gateway, limit: number, after?: string) => {
    latest = gateway;
    const mine = ++loads;
    try {
      const page = await gateway.listChats(limit, after);
      // More was pressed twice, or another gateway is asked by now.
      if (mine !== loads) return;
      shown = after === undefined ? page.chats : [...shown, ...page.chats];
      next = page.next;
      draw(gateway);
    } catch (error) {
      if (mine === loads) note.textContent = error instanceof Error ? error.message : '';
    }
  };
  const refresh = (gateway: Gateway) => load(gateway, Math.min(LONGEST_PAGE, Math.max(PAGE, shown.length)));
  const remove = async (gateway: Gateway, { id, title }: ChatSummary) => {
    if (!(await confirmDeletion(title))) return;
    try {
      await gateway.deleteChat(id);
      announce('Conversation deleted.');
      onDeleted(id);
      await refresh(gateway);
      list.querySelector('a')?.focus();
    } catch (error) {
      note.textContent = error instanceof Error ? error.message : '';
      announce(note.textContent);
    }
  };
  more.onclick = () => latest && load(latest, PAGE, next);

  return { refresh, mark };
}

function drawChat({ id, title, updatedAt }: ChatSummary, onDelete: () => void): HTMLLIElement {
  const time = make('time', { dateTime: updatedAt.toISOString() }, toWords(updatedAt));
  const link = make('a', { href: toHash(id) }, make('span', { className: 'title' }, title), time);
  const remove = makeButton('×', onDelete, {
    className: 'delete',
    ariaLabel: `Delete conversation: ${title}`,
    title: 'Delete',
  });
  return make('li', {}, link, remove);
}

/** The time of today, or the day. */
function toWords(date: Date): string {
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday
    ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

function confirmDeletion(title: string): Promise<boolean> {
  const dialog = find('deletion', HTMLDialogElement);
  find('deletion-title', HTMLElement).textContent = title;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === 'delete');
  });
}
