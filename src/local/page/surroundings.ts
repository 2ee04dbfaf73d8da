/**
 * What stands around the conversation: light or dark, and the drawer that the list becomes on a narrow screen.
 */
import { find } from './element.ts';

const STORAGE_KEY = 'theme';

/** Light or dark as the system says, until somebody chooses. */
export function watchTheme() {
  const button = find('theme', HTMLButtonElement);
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset['theme'] ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => (button.textContent = isDark() ? 'Light' : 'Dark');
  try {
    const chosen = localStorage.getItem(STORAGE_KEY);
    if (chosen) root.dataset['theme'] = chosen;
  } catch {
    // A browser that keeps nothing.
  }
  button.onclick = () => {
    root.dataset['theme'] = isDark() ? 'light' : 'dark';
    show();
    try {
      localStorage.setItem(STORAGE_KEY, root.dataset['theme']);
    } catch {
      // It holds until the page is left.
    }
  };
  system.addEventListener('change', show);
  show();
}

export function watchDrawer() {
  const list = find('list', HTMLElement);
  const button = find('open-list', HTMLButtonElement);
  const isNarrow = matchMedia('(max-width: 52rem)');
  const set = (isOpen: boolean) => {
    document.body.classList.toggle('drawer-open', isOpen);
    button.ariaExpanded = String(isOpen);
    // What is out of sight must not be reached by the keyboard.
    list.inert = isNarrow.matches && !isOpen;
    if (isOpen) find('new-chat', HTMLButtonElement).focus();
  };
  const close = () => {
    const hadFocus = list.contains(document.activeElement);
    set(false);
    if (hadFocus && isNarrow.matches) button.focus();
  };
  button.onclick = () => set(true);
  find('close-list', HTMLButtonElement).onclick = close;
  find('veil', HTMLDivElement).onclick = close;
  list.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !document.body.classList.contains('drawer-open')) return;
    // It stops no answer.
    event.stopPropagation();
    close();
  });
  isNarrow.addEventListener('change', close);
  set(false);
  return { close };
}
