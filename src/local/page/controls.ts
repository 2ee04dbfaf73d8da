/**
 * What can be chosen for a question. Remembered by the browser, since none of it is a secret.
 */
import { find, make } from './element.ts';
import { isRecord, parseJson, readText } from './json.ts';
import type { Controls } from './question.ts';

const STORAGE_KEY = 'controls';

/** The value of the choice that shows a field for any other model. */
const OTHER = 'other';

export type ControlPanel = {
  read(): Controls;
  /** What the gateway offers, the default first. */
  offerModels(models: readonly string[]): void;
  /** Says why there is no WebSocket here; nothing where there is one. */
  setSocketObstacle(sentence: string | undefined): void;
};

export function createControlPanel(): ControlPanel {
  const model = find('model', HTMLSelectElement);
  const otherModel = find('other-model', HTMLInputElement);
  const socket = find('door-websocket', HTMLInputElement);
  const sse = find('door-sse', HTMLInputElement);
  const fields = {
    system: find('system', HTMLTextAreaElement),
    temperature: find('temperature', HTMLInputElement),
    topP: find('top-p', HTMLInputElement),
    maxTokens: find('max-tokens', HTMLInputElement),
    cache: find('cache', HTMLSelectElement),
    store: find('store', HTMLSelectElement),
  };
  const settings = find('settings', HTMLDialogElement);
  const opener = find('open-settings', HTMLButtonElement);
  const remembered = recall();

  const read = (): Controls => ({
    door: socket.checked && !socket.disabled ? 'websocket' : 'sse',
    model: model.value === OTHER ? otherModel.value : model.value,
    system: fields.system.value,
    temperature: fields.temperature.value,
    topP: fields.topP.value,
    maxTokens: fields.maxTokens.value,
    cache: fields.cache.value,
    store: fields.store.value,
  });
  const show = () => {
    otherModel.hidden = model.value !== OTHER;
    const changed = Object.values(fields).filter(({ value }) => value.trim() !== '').length;
    opener.textContent = changed > 0 ? `Settings (${changed})` : 'Settings';
  };
  const remember = () => {
    show();
    const door = socket.checked ? 'websocket' : 'sse';
    // What a system prompt says stays with this page.
    const text = JSON.stringify({ ...read(), system: undefined, door });
    try {
      localStorage.setItem(STORAGE_KEY, text);
    } catch {
      // A browser that keeps nothing.
    }
  };

  for (const [name, field] of Object.entries(fields)) field.value = readText(remembered, name) ?? '';
  (readText(remembered, 'door') === 'websocket' ? socket : sse).checked = true;
  for (const control of [model, otherModel, socket, sse, ...Object.values(fields)])
    control.addEventListener('change', remember);
  opener.onclick = () => settings.showModal();
  find('reset-settings', HTMLButtonElement).onclick = () => {
    for (const field of Object.values(fields)) field.value = '';
    remember();
  };

  const offerModels = (models: readonly string[]) => {
    const chosen = read().model || readText(remembered, 'model') || '';
    const [standard = '', ...others] = models;
    const isStandard = chosen === '' || chosen === standard;
    const isOffered = isStandard || others.includes(chosen);
    model.replaceChildren(
      make('option', { value: '' }, standard || 'The default model'),
      ...others.map((id) => make('option', { value: id }, id)),
      make('option', { value: OTHER }, 'Another model'),
    );
    model.value = isStandard ? '' : isOffered ? chosen : OTHER;
    if (!isOffered) otherModel.value = chosen;
    show();
  };
  offerModels([]);

  return {
    read,
    offerModels,
    setSocketObstacle(sentence) {
      socket.disabled = sentence !== undefined;
      find('door', HTMLFieldSetElement).title = sentence ?? '';
      if (sentence !== undefined) sse.checked = true;
    },
  };
}

function recall(): unknown {
  try {
    const kept = parseJson(localStorage.getItem(STORAGE_KEY) ?? '');
    return isRecord(kept) ? kept : {};
  } catch {
    return {};
  }
}
