/**
 * The chat page: joins the list of conversations, the one that is open, the composer and the connection.
 */
import { readHash, toHash } from './address.ts';
import { createChatList } from './chat-list.ts';
import { createConnection } from './connection.ts';
import { createControlPanel } from './controls.ts';
import { Conversation } from './conversation.ts';
import type { Door } from './door.ts';
import { announce, find, makeButton } from './element.ts';
import type { Gateway } from './gateway.ts';
import type { Laptop } from './laptop.ts';
import { watchScrolling } from './scrolling.ts';
import { createSocketDoor, type SocketDoor } from './socket.ts';
import { watchDrawer, watchTheme } from './surroundings.ts';

const samples = [
  [
    'What should I check first when a whole site is down?',
    'Answered from the table, once the samples are uploaded',
  ],
  ['What is a Faraday cage?', 'An answer of the simulator, token by token'],
  [
    'ECHO ## Three ways in\n\n| door | identity |\n|---|---|\n| REST | API key |\n| WebSocket | API key |\n| Function URL | signature |\n\n```sh\ncurl -sN http://127.0.0.1:3000/v1/chat\n```\n\nEach streams *the same* events.',
    'ECHO gives back what follows it: here, Markdown',
  ],
  ['SLOW Three seconds of silence come before this answer.', 'SLOW shows what waiting looks like, and Stop'],
] as const;

const laptop: Laptop = JSON.parse(document.getElementById('laptop')?.textContent ?? '');
const question = find('question', HTMLTextAreaElement);
const pane = find('conversation', HTMLElement);
const controls = createControlPanel();
const chatList = createChatList(forget);
const drawer = watchDrawer();
const scrolling = watchScrolling();
const connection = createConnection({ laptop, onConnect });
/** Conversations whose answer is on its way, whether they are open or not. */
const running = new Set<Conversation>();
let gateway: Gateway | undefined;
let socketDoor: SocketDoor | undefined;
let open = createConversation();

function createConversation(id?: string): Conversation {
  const onShown = () => scrolling.follow();
  return new Conversation({ choose, onShown, onState }, id);
}

function choose() {
  const chosen = controls.read();
  const door: Door | undefined = chosen.door === 'websocket' ? socketDoor : gateway;
  if (!door) throw new Error('There is no gateway to ask.');
  return { controls: chosen, door };
}

function onConnect(connected: Gateway, models: readonly string[]) {
  const { webSocketUrl, key, credentials } = connected.place;
  for (const conversation of running) conversation.stop();
  socketDoor?.close();
  const isNew = gateway !== undefined;
  gateway = connected;
  const hasSocket = webSocketUrl !== undefined && key !== undefined && !credentials;
  socketDoor = hasSocket ? createSocketDoor(webSocketUrl, key) : undefined;
  controls.offerModels(models);
  controls.setSocketObstacle(
    hasSocket
      ? undefined
      : 'A WebSocket takes its URL and an API key; with AWS credentials this page asks by SSE.',
  );
  const isHere = connected.place.baseUrl === location.origin;
  find('place', HTMLElement).textContent = isHere ? 'this laptop' : new URL(connected.place.baseUrl).host;
  showSamples(isHere && laptop.isSimulated);
  void chatList.refresh(connected);
  if (isNew) location.hash = '';
  show(createConversation());
  void openFromAddress();
}

function onState(conversation: Conversation) {
  if (conversation.isAnswering) running.add(conversation);
  else if (running.delete(conversation) && gateway) void chatList.refresh(gateway);
  if (conversation !== open) return;
  if (toHash(conversation.id) !== location.hash)
    history.replaceState(null, '', toHash(conversation.id) || location.pathname);
  showState();
}

function showState() {
  document.body.classList.toggle('answering', open.isAnswering);
  find('send', HTMLButtonElement).hidden = open.isAnswering;
  find('stop', HTMLButtonElement).hidden = !open.isAnswering;
  find('empty', HTMLElement).hidden = !open.isEmpty;
  document.title = open.title ? `${open.title.slice(0, 60)} · LLM Gateway` : 'LLM Gateway';
  chatList.mark(open.id);
}

function show(conversation: Conversation) {
  open = conversation;
  find('turns', HTMLDivElement).replaceChildren(conversation.element);
  drawer.close();
  showState();
  scrolling.toEnd();
}

async function openFromAddress() {
  const id = readHash(location.hash);
  if (id === open.id || !gateway) return;
  const known = [...running].find((conversation) => conversation.id === id);
  if (known || id === undefined) return show(known ?? createConversation());
  const conversation = createConversation(id);
  show(conversation);
  pane.ariaBusy = 'true';
  try {
    conversation.add(await gateway.readChat(id));
    if (open === conversation) show(conversation);
    announce('Conversation opened.');
  } catch (error) {
    if (open === conversation) reportUnread(error instanceof Error ? error.message : String(error));
  } finally {
    pane.ariaBusy = 'false';
  }
}

/** A conversation that cannot be read leaves a new one, and the reason. */
function reportUnread(reason: string) {
  history.replaceState(null, '', location.pathname);
  show(createConversation());
  say(reason);
}

function forget(id: string) {
  if (open.id === id) startAnew();
}

function startAnew() {
  // The way back leads to the conversation that was open, whose answer may still be on its way.
  if (location.hash) history.pushState(null, '', location.pathname);
  show(createConversation());
  question.focus();
}

function say(sentence: string) {
  const notice = find('notice', HTMLParagraphElement);
  notice.textContent = sentence;
  notice.hidden = sentence === '';
  if (sentence) announce(sentence);
}

function ask(prompt: string) {
  if (prompt.trim() === '' || open.isAnswering) return;
  if (!gateway) return connection.open('There is no connection to a gateway yet.');
  say('');
  open.ask(prompt);
  scrolling.toEnd();
}

function send() {
  if (open.isAnswering || !gateway) return ask(question.value);
  ask(question.value);
  question.value = '';
  question.focus();
}

function stop() {
  open.stop();
  question.focus();
}

function showSamples(isSimulated: boolean) {
  find('simulated', HTMLParagraphElement).hidden = !isSimulated;
  const offered = isSimulated ? samples : samples.slice(1, 2);
  const list = find('samples', HTMLUListElement);
  list.replaceChildren(
    ...offered.map(([prompt, meaning]) => {
      const item = document.createElement('li');
      const button = makeButton(prompt.split('\n')[0] ?? '', () => ask(prompt));
      const note = document.createElement('small');
      note.textContent = isSimulated ? meaning : '';
      button.append(note);
      item.append(button);
      return item;
    }),
  );
}

find('composer', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  send();
};
find('stop', HTMLButtonElement).onclick = stop;
find('new-chat', HTMLButtonElement).onclick = startAnew;
question.onkeydown = (event) => {
  // What an input method is still composing is not finished; Safari ends composing before it tells of the key, as 229.
  const isComposing = event.isComposing || event.keyCode === 229;
  if (event.key !== 'Enter' || event.shiftKey || isComposing) return;
  event.preventDefault();
  send();
};
document.addEventListener('keydown', ({ key, isComposing }) => {
  if (key === 'Escape' && !isComposing && open.isAnswering && !document.querySelector('dialog[open]')) stop();
});
// On AWS nobody sees a reader leave who does not say so.
window.addEventListener('pagehide', () => {
  for (const conversation of running) conversation.stop();
});
window.addEventListener('hashchange', openFromAddress);
watchTheme();
showSamples(laptop.isSimulated);
show(open);
question.focus();
void connection.start();
