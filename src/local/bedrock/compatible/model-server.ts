/**
 * A server that speaks OpenAI's API, such as Ollama, llama.cpp, LM Studio or vLLM: how it is called, and its failures as Bedrock's.
 */
import { z } from 'zod/mini';
import { ServiceException } from '../replies.ts';

export type ModelServer = {
  /** Its base, such as `http://127.0.0.1:11434/v1`, without a slash at the end. */
  readonly url: string;
  /** Sent as a Bearer token; most servers on a laptop want none. */
  readonly key?: string;
};

/** Of what a server says about a failure, in characters. */
const MAX_REASON = 1_000;

/** How long a list may take, in milliseconds: nobody loads a model for it. */
const LIST_MS = 5_000;

/**
 * The server's answer to a POST, once it has begun.
 *
 * @throws ServiceException for anything but a success
 */
export async function post(
  server: ModelServer,
  path: string,
  body: object,
  signal: AbortSignal,
): Promise<Response> {
  const headers = { ...headersFor(server), 'content-type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify(body), signal };
  const response = await fetch(`${server.url}${path}`, init).catch(() => {
    throw new ServiceException(503, 'ServiceUnavailableException', 'The server cannot be reached.');
  });
  if (response.ok) return response;
  throw toException(response.status, await response.text().catch(() => ''));
}

const headersFor = ({ key }: ModelServer) => ({ ...(key && { authorization: `Bearer ${key}` }) });

/** The server's status → Bedrock's exception, where it is not the request's fault (4xx) or the model's (5xx). */
const exceptions: ReadonlyMap<number, readonly [status: number, name: string]> = new Map([
  [401, [403, 'AccessDeniedException']],
  [403, [403, 'AccessDeniedException']],
  [404, [404, 'ResourceNotFoundException']],
  [408, [408, 'ModelTimeoutException']],
  [429, [429, 'ThrottlingException']],
  [503, [503, 'ServiceUnavailableException']],
  [504, [408, 'ModelTimeoutException']],
]);

const REJECTED = [400, 'ValidationException'] as const;
/** No 500, at which the SDK would ask twice more. */
const FAILED = [424, 'ModelErrorException'] as const;

function toException(status: number, said: string): ServiceException {
  const [ours, name] = exceptions.get(status) ?? (status < 500 ? REJECTED : FAILED);
  // llama.cpp's word for it is none that models behind Bedrock use.
  const hint = said.includes('exceed_context_size_error') ? 'The input is too long. ' : '';
  return new ServiceException(ours, name, `${hint}The server says: ${said.slice(0, MAX_REASON)}`);
}

/** Ollama says null for none. */
const modelList = z.object({ data: z.nullable(z.array(z.object({ id: z.string() }))) });

/**
 * The ids of the models that the server has.
 *
 * @throws `Error` for whoever started the gateway
 */
export async function listModels(server: ModelServer): Promise<readonly string[]> {
  const { url } = server;
  const init = { headers: headersFor(server), signal: AbortSignal.timeout(LIST_MS) };
  const response = await fetch(`${url}/models`, init).catch((cause) => {
    throw new Error(`--bedrock ${url} cannot be reached; is the server running?`, { cause });
  });
  if (response.status === 401 || response.status === 403)
    throw new Error(`--bedrock ${url} wants a key; set OPENAI_API_KEY to one that it takes.`);
  const list = modelList.safeParse(await response.json().catch(() => undefined));
  if (!response.ok || !list.success)
    throw new Error(
      `--bedrock ${url} lists no models; it must be the base URL of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1.`,
    );
  return list.data.data?.map(({ id }) => id) ?? [];
}
