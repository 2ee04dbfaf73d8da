/**
 * The panel that says which gateway is asked, and as whom. What is typed into it stays in memory.
 */
import { find } from './element.ts';
import { createGateway, type Gateway } from './gateway.ts';
import type { Laptop } from './laptop.ts';
import { guessSigning, type Place, type PlaceFields, parsePlace } from './place.ts';

type ConnectionParts = {
  readonly laptop: Laptop;
  /** Called with a gateway that has answered, and the models that it offers. */
  readonly onConnect: (gateway: Gateway, models: readonly string[]) => void;
};

export type Connection = {
  /** Opens the panel, with a sentence why. */
  open(reason?: string): void;
  /** Tries what the page knows without asking; opens the panel where it knows no key. */
  start(): Promise<void>;
};

export function createConnection({ laptop, onConnect }: ConnectionParts): Connection {
  const dialog = find('connection', HTMLDialogElement);
  const form = find('connection-form', HTMLFormElement);
  const problem = find('connection-problem', HTMLParagraphElement);
  const submit = find('connect', HTMLButtonElement);
  const read = (name: string) => String(new FormData(form).get(name) ?? '');

  const show = () => {
    const isElsewhere = read('where') === 'elsewhere';
    const isSigned = read('access') === 'aws';
    find('elsewhere', HTMLDivElement).hidden = !isElsewhere;
    find('laptop-place', HTMLDivElement).hidden = isElsewhere;
    find('with-key', HTMLDivElement).hidden = isSigned;
    find('with-aws', HTMLDivElement).hidden = !isSigned;
    const { region, service } = guessSigning(read('url'), laptop.functionUrl);
    find('region', HTMLInputElement).placeholder = region;
    find('guessed-service', HTMLOptionElement).textContent = `Guessed: ${service}`;
  };
  const say = (sentence: string) => {
    problem.textContent = sentence;
    problem.hidden = sentence === '';
  };

  const laptopPlace = (key: string): Place => ({
    baseUrl: location.origin,
    webSocketUrl: `${location.origin.replace(/^http/, 'ws')}/ws`,
    key,
  });
  /** @throws `Error` with a sentence */
  const readPlace = (): Place => {
    if (read('where') === 'elsewhere') return parsePlace(readFields(), laptop.functionUrl);
    const key = read('laptopKey').trim() || laptop.key;
    if (!key)
      throw new Error('There is no API key; it is one of those in LOCAL_API_KEYS, where npm start runs.');
    return laptopPlace(key);
  };
  const readFields = (): PlaceFields => ({
    access: read('access'),
    url: read('url'),
    key: read('access') === 'aws' ? read('extraKey') : read('key'),
    webSocketUrl: read('webSocketUrl'),
    accessKeyId: read('accessKeyId'),
    secretAccessKey: read('secretAccessKey'),
    sessionToken: read('sessionToken'),
    region: read('region'),
    service: read('service'),
  });
  const connect = async (place: Place) => {
    const gateway = createGateway(place);
    onConnect(gateway, await gateway.listModels());
  };
  const tryToConnect = async (event: SubmitEvent) => {
    event.preventDefault();
    say('');
    submit.disabled = true;
    try {
      await connect(readPlace());
      dialog.close();
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    } finally {
      submit.disabled = false;
    }
  };
  const open = (reason = '') => {
    show();
    say(reason);
    if (!dialog.open) dialog.showModal();
  };

  form.addEventListener('input', show);
  form.addEventListener('submit', tryToConnect);
  find('close-connection', HTMLButtonElement).onclick = () => dialog.close();
  find('open-connection', HTMLButtonElement).onclick = () => open();
  find('page-origin', HTMLElement).textContent = location.origin;
  find('function-url', HTMLElement).textContent = laptop.functionUrl;
  find('laptop-key', HTMLInputElement).placeholder = laptop.key ? 'The key that npm start made' : '';

  return {
    open,
    async start() {
      if (!laptop.key)
        return open('This gateway’s keys were given to it in LOCAL_API_KEYS; type in one of them.');
      await connect(laptopPlace(laptop.key)).catch((error: Error) => open(error.message));
    },
  };
}
