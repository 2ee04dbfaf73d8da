/**
 * The HTTP doors as one Hono app. It speaks `Request` and `Response` only; what platform they came from, and who is calling,
 * it is told by the door in front of it.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { matchedRoutes } from 'hono/route';
import { GatewayError, toGatewayError } from '../chat/errors.ts';
import { EXPOSED_HEADERS } from '../names.ts';
import type { ChatParts } from './asking.ts';
import { createCancelRoute } from './cancel.ts';
import { createChatRoute } from './chat.ts';
import { type ChatArchive, deleteChat, listChats, readChat } from './chats.ts';
import { type AppEnv, callerOf } from './edge.ts';
import { createEmbeddingsRoute, type EmbeddingsParts } from './embeddings.ts';
import { toErrorResponse } from './envelope.ts';
import { listModels, readModel } from './models.ts';
import { createCompletionsRoute } from './openai.ts';
import { noteError } from './record.ts';

export type AppParts = ChatParts &
  EmbeddingsParts & {
    readonly chats: ChatArchive;
    /** Origins whose pages may call, or `*`. */
    readonly allowedOrigins: readonly string[];
  };

export function createApp(parts: AppParts): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(noteResponse);
  app.use(createCors(parts.allowedOrigins));
  app.use(methodNotAllowed({ app, onMethodNotAllowed: refuseMethod }));

  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/openapi.json', describeApi);
  app.use(requireIdentity);
  app.get('/v1/models', listModels(parts));
  app.get('/v1/models/:id{.+}', readModel(parts));
  app.post('/v1/chat', createChatRoute(parts));
  app.post('/v1/chat/completions', createCompletionsRoute(parts));
  app.post('/v1/embeddings', createEmbeddingsRoute(parts));
  app.post('/v1/responses', refuseResponses);
  app.delete('/v1/requests/:request_id', createCancelRoute(parts));
  app.get('/v1/chats', listChats(parts));
  app.get('/v1/chats/:chat_id', readChat(parts));
  app.delete('/v1/chats/:chat_id', deleteChat(parts));

  app.notFound((c) => fail(c, new GatewayError('not_found', 'There is nothing at this path.')));
  app.onError((error, c) => fail(c, error));
  return app;
}

/**
 * Not on the Function URL, which writes these headers itself: a browser refuses to see them twice. A listed origin may send any header, as
 * OpenAI's client does with a dozen of its own.
 */
function createCors(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const crossOrigin = cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST', 'DELETE'],
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: 600,
  });
  const isListed = (origin = '') => origins.includes('*') || origins.includes(origin);
  return async (c, next) => {
    const isOurs = c.env.door !== 'function-url' && isListed(c.req.header('origin'));
    return isOurs ? await crossOrigin(c, next) : await next();
  };
}

async function noteResponse(c: Context<AppEnv>, next: () => Promise<void>) {
  await next();
  const route = matchedRoutes(c).findLast(({ path }) => path !== '/*');
  if (route) c.env.record.route = route.path;
  c.env.record.status = c.res.status;
  c.header('x-request-id', c.env.record.request_id);
}

/** Read from the bundle only when it is asked for. */
async function describeApi(c: Context<AppEnv>) {
  const { openapi } = await import('./openapi.ts');
  return c.json(openapi);
}

/** Stands before every route but `/health` and `/openapi.json`, and before the body is read. */
async function requireIdentity(c: Context<AppEnv>, next: () => Promise<void>) {
  callerOf(c);
  await next();
}

/** The default of some clients, whose users would look for the fault in the address. */
function refuseResponses(): never {
  const advice = 'This gateway does not speak the Responses API; have the client use chat completions.';
  throw new GatewayError('not_found', advice);
}

function refuseMethod(c: Context<AppEnv>, allowed: string[]) {
  const allow = allowed.join(', ');
  return fail(c, new GatewayError('method_not_allowed', `This path takes ${allow}.`), { allow });
}

function fail(c: Context<AppEnv>, thrown: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  noteError(thrown, c.env.record);
  return toErrorResponse(toGatewayError(thrown), c.env.record.request_id, headers);
}
