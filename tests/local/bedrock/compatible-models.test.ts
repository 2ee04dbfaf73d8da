import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { offerModels } from '../../../src/local/bedrock/compatible/models.ts';
import { sendJson, sendModels, startModelServer } from '../../helpers/compatible-server.ts';
import { rejectionOf } from '../../helpers/rejects.ts';

const offering = suite('offerModels');

offering('offers what the server has by names that the gateway knows what to do with', async () => {
  const server = await startModelServer(
    sendModels('nomic-embed-text', 'library/x:1b', 'a model', 'Qwen3-Embedding:8b'),
  );
  const env = {};
  await offerModels({ url: server.url, key: 'sesame' }, env);
  assert.equal(env, {
    ALLOWED_MODELS:
      'amazon.titan-embed-text-v2:nomic-embed-text,library/x:1b,amazon.titan-embed-text-v2:Qwen3-Embedding:8b',
    DEFAULT_MODEL: 'library/x:1b',
  });
  assert.is(server.calls[0]?.authorization, 'Bearer sesame');
  await server.close();
});

offering('what the variables say stays, and the default is one of those that they allow', async () => {
  const server = await startModelServer(sendModels('one', 'two:1b', 'two:3b'));
  const offer = async (env: Record<string, string>) => {
    await offerModels(server, env);
    return env;
  };
  const allowed = { ALLOWED_MODELS: 'three, two:*' };
  assert.equal(await offer({ ...allowed }), { ...allowed, DEFAULT_MODEL: 'two:1b' });
  const chosen = { DEFAULT_MODEL: 'two:3b' };
  assert.equal(await offer({ ...chosen }), { ...chosen, ALLOWED_MODELS: 'one,two:1b,two:3b' });
  const both = { ALLOWED_MODELS: 'three', DEFAULT_MODEL: 'three' };
  assert.equal(await offer({ ...both }), both);
  await server.close();
});

offering('what is wrong is told in one sentence', async () => {
  const server = await startModelServer();
  const none = `The server at ${server.url} has no model on offer that chats; pull or load one there.`;
  const refused = `--bedrock ${server.url} wants a key; set OPENAI_API_KEY to one that it takes.`;
  const wrong = `--bedrock ${server.url} lists no models; it must be the base URL of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1.`;
  const cases = [
    [sendModels(), none],
    [sendModels('nomic-embed-text'), none],
    [sendJson({ object: 'list', data: null }), none],
    [sendJson({}, 401), refused],
    [sendJson({}, 403), refused],
    [sendJson({ data: [{ id: 'one' }] }, 500), wrong],
    [sendJson([]), wrong],
  ] as const;
  for (const [respond, sentence] of cases) {
    server.respond = respond;
    assert.is(Object(await rejectionOf(offerModels(server, {}))).message, sentence);
  }
  await server.close();
});

offering.run();
