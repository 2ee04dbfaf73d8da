/**
 * A client that writes down what it sees and finds fault with it: a second end, a gap in `seq`, a double that differs, a frame of
 * somebody else's request.
 */
import { type Frame, openSocket, readSse, type TestClient, type Who } from '../helpers/clients.ts';

export type Question = { readonly request_id: string; readonly prompt: string; readonly model: string };

export type Asking = {
  /** `done`, `error`, `cancelled`, in the order they came; of a refusal its code. */
  readonly ends: readonly string[];
  readonly text: string;
  /** The fields of everything that came, the later over the earlier. */
  readonly told: Readonly<Record<string, unknown>>;
  /** What no client should ever see, as sentences. */
  readonly faults: readonly string[];
  /** Resolves at the first end, and when an HTTP answer is over. */
  readonly ended: Promise<unknown>;
  /** Resolves with nothing when the cancel was taken, else with the code of its refusal. */
  cancel(): Promise<string | undefined>;
  leave(): void;
};

const ends = ['done', 'error', 'cancelled'];

/** How long after the end of its request a cancel may be left without a word. */
const SILENCE_MS = 5_000;

/** Over HTTP; with `stream: false` in one piece. */
export function askOverHttp(client: TestClient, question: Question, stream: boolean): Asking {
  const leaving = new AbortController();
  const seen = { ends: [] as string[], text: '', told: {}, faults: [] as string[] };
  const read = async () => {
    const response = await client.chat({ ...question, stream }, { signal: leaving.signal });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      for (const { name, data } of await readSse(response)) {
        seen.text += data['text'] ?? '';
        Object.assign(seen.told, data);
        if (seen.ends.length > 0) seen.faults.push(`${name} after ${seen.ends}`);
        if (ends.includes(name)) seen.ends.push(name);
      }
    } else {
      const whole = (await response.json()) as Partial<Whole>;
      const { completion = '', error } = whole;
      seen.told = whole;
      seen.text = completion;
      seen.ends.push(error?.code ?? 'done');
    }
  };
  const ended = read().catch((error) => {
    if (!leaving.signal.aborted) seen.faults.push(`the answer broke off: ${error}`);
  });
  const cancel = () => client.cancel(question.request_id);
  return Object.assign(seen, { ended, cancel, leave: () => leaving.abort() });
}

type Whole = { readonly completion: string; readonly error: { readonly code: string } };

type Reader = (frame: Frame, raw: string) => void;

export type Session = Awaited<ReturnType<typeof openSession>>;

/** A WebSocket, over which many requests may be asked at once. `foreign` are frames of requests that were never asked over it. */
export async function openSession(url: string, who: Pick<Who, 'key'>) {
  const { socket } = await openSocket(url, who);
  const readers = new Map<string, Reader>();
  const foreign: string[] = [];
  const close = () => socket.close();
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    const read = readers.get(frame.request_id ?? '');
    if (read) read(frame, String(data));
    else foreign.push(String(data).slice(0, 200));
  });

  function ask(question: Question): Asking {
    const { request_id: requestId } = question;
    const seen = { ends: [] as string[], text: '', told: {}, faults: [] as string[] };
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: cancelEnded, resolve: endCancel } = Promise.withResolvers<string | undefined>();
    const taken: string[] = [];
    readers.set(requestId, (frame, raw) => {
      const { type, seq } = frame;
      if (seq === undefined) return refuse(frame);
      if (seq < taken.length) {
        if (taken[seq] !== raw) seen.faults.push(`two frames ${seq}`);
        return;
      }
      if (seq > taken.length) seen.faults.push(`no frame ${taken.length} before ${seq}`);
      taken[seq] = raw;
      seen.text += frame['text'] ?? '';
      Object.assign(seen.told, frame);
      if (seen.ends.length > 0) seen.faults.push(`${type} after ${seen.ends}`);
      if (!ends.includes(type)) return;
      seen.ends.push(type);
      if (type === 'cancelled') endCancel(undefined);
      end();
    });
    /** The cancel, or else the question itself. */
    const refuse = (frame: Frame) => {
      const { code } = frame['error'] as Whole['error'];
      if (code === 'not_found') return endCancel(code);
      seen.told = frame;
      seen.ends.push(code);
      end();
    };
    const send = (message: object) => socket.send(JSON.stringify(message));
    send({ action: 'chat', ...question });
    const cancel = () => {
      send({ action: 'cancel', request_id: requestId });
      void ended.then(() => setTimeout(endCancel, SILENCE_MS, 'silence'));
      return cancelEnded;
    };
    return Object.assign(seen, { ended, cancel, leave: close });
  }

  return { ask, foreign, close };
}
