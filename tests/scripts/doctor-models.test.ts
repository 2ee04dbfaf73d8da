/** What the doctor says of models, for refusals as Bedrock has written them to people. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { explainModelFailure } from '../../scripts/doctor/model-failures.ts';
import { embeddingModel } from '../../src/chat/similarity.ts';
import { failure, type Replies, type Reply, withAws } from '../helpers/aws-stand-in.ts';

const HELLO = {
  body: JSON.stringify({
    output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
    stopReason: 'end_turn',
    usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
  }),
};
const denied = (message: string) => failure(403, 'AccessDeniedException', message);
const missing = (message: string) => failure(404, 'ResourceNotFoundException', message);
const invalid = (message: string) => failure(400, 'ValidationException', message);
const me =
  'User: arn:aws:sts::123456789012:assumed-role/Dev/me is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:::foundation-model/m';

/** Model → what Bedrock answers, and what the doctor makes of it. */
const rows: Readonly<Record<string, readonly [Reply, RegExp]>> = {
  'global.anthropic.form': [
    missing(
      'Model use case details have not been submitted for this account. Fill out the Anthropic use case details form before using the model. If you have already filled out the form, try again in 15 minutes.',
    ),
    /^problem .* needs Anthropic's use-case form, .*after 15 minutes \(ResourceNotFoundException\)\.$/,
  ],
  'anthropic.ftu': [failure(404, 'FTUFormNotFilled', 'x'), /^problem .*use-case form/],
  'anthropic.card': [
    denied(
      'Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided. Your AWS Marketplace subscription for this model cannot be completed at this time.',
    ),
    /^problem .*payment method of the account/,
  ],
  'anthropic.market': [
    denied(
      'Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model.',
    ),
    /^problem .*agreement with AWS Marketplace.*15 minutes \(AccessDeniedException\)\.$/,
  ],
  'global.anthropic.scp': [
    denied(`${me} with an explicit deny in a service control policy: arn:aws:organizations::1:policy/p`),
    /^problem .*service control policy.*aws:RequestedRegion is "unspecified"/,
  ],
  'us.anthropic.scp': [
    denied(`${me} because no service control policy allows the bedrock:InvokeModel action`),
    /^problem .*service control policy.*every region/,
  ],
  'anthropic.iam': [
    denied(`${me} because no identity-based policy allows the bedrock:InvokeModel action`),
    /^warning .*your principal may not bedrock:InvokeModel/,
  ],
  'anthropic.profile-only': [
    invalid(
      'Invocation of model ID m with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.',
    ),
    /^problem .*inference profile: .* put global\.anthropic\.profile-only or us\.anthropic\.profile-only in its place/,
  ],
  'anthropic.old': [missing('This model version has reached the end of its life.'), /^problem .*withdrawn/],
  'anthropic.legacy': [
    missing(
      'Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in the last 30 days.',
    ),
    /^problem .*withdrawn/,
  ],
  'anthropic.country': [
    invalid('Access to Anthropic models is not allowed from unsupported countries, regions, or territories.'),
    /^problem .*country/,
  ],
  'amazon.embed': [
    invalid(
      "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    ),
    /^problem .*cannot be talked to/,
  ],
  'amazon.typo': [
    invalid('The provided model identifier is invalid.'),
    /^problem .*is no model in us-east-1: .*typing error/,
  ],
  'amazon.gone': [missing('Could not find it'), /^problem .*is no model in us-east-1/],
  'amazon.new-account': [invalid('Operation not allowed'), /^problem .*AWS Support/],
  'amazon.score': [failure(403, 'BadCScoreException', 'x'), /^problem .*AWS Support/],
  'amazon.access': [
    denied("You don't have access to the model with the specified model ID."),
    /^problem .*Model catalog in us-east-1 and request access/,
  ],
  'amazon.daily': [
    failure(429, 'ThrottlingException', 'Too many tokens per day, please wait before trying again.'),
    /^warning .*tokens of the day/,
  ],
  'amazon.throttled': [
    failure(429, 'ThrottlingException', 'Too many requests'),
    /^warning .*asked too often/,
  ],
  'amazon.busy': [failure(503, 'ServiceUnavailableException', 'x'), /^warning .*at the moment/],
  'amazon.expired': [
    failure(403, 'ExpiredTokenException', 'x'),
    /^problem .*cannot be asked\. The AWS credentials have expired; run aws sso login/,
  ],
  'amazon.strange': [invalid('foreign words'), /^problem .*not known here \(ValidationException\)/],
  'amazon.fine': [HELLO, /^ok +model +amazon\.fine answers\.$/],
};
const names = Object.keys(rows);

const models = suite('npm run doctor, of models');

models('each refusal gets its own sentence, and nothing of what Bedrock wrote', async () => {
  const replies: Replies = { Converse: ({ model }) => rows[model]?.[0] ?? HELLO };
  const { code, out } = await withAws(replies, ({ run }) =>
    run('scripts/doctor.ts', [], { DEFAULT_MODEL: 'amazon.fine', ALLOWED_MODELS: names.join() }),
  );
  assert.is(code, 1);
  const lines = out.split('\n').filter((line) => line.slice(9).startsWith('model'));
  assert.is(lines.length, names.length);
  for (const [model, [, says]] of Object.entries(rows)) {
    assert.match(lines.find((line) => line.includes(` ${model} `)) ?? `no line of ${model}`, says);
  }
  for (const foreign of ['foreign words', 'arn:aws:sts', 'arn:aws:organizations', 'Retry your request'])
    assert.not.match(out, foreign);
});

models('a warning alone leaves exit code 0', async () => {
  const { code } = await withAws({ Converse: failure(429, 'ThrottlingException', 'x') }, ({ run }) =>
    run('scripts/doctor.ts', [], { DEFAULT_MODEL: 'amazon.m', ALLOWED_MODELS: 'amazon.m' }),
  );
  assert.is(code, 0);
});

models(
  'the default comes first, what is named twice is asked once, patterns are not asked, and only a word is sent',
  () =>
    withAws({}, async ({ run, calls }) => {
      const env = { DEFAULT_MODEL: 'amazon.b', ALLOWED_MODELS: 'amazon.a,amazon.b,us.meta.*' };
      const { out } = await run('scripts/doctor.ts', [], env);
      const asked = calls.filter(({ action }) => action === 'Converse');
      assert.equal(asked.map(({ model }) => model).sort(), ['amazon.a', 'amazon.b']);
      assert.ok(out.indexOf('amazon.b answers') < out.indexOf('amazon.a answers'));
      assert.equal(JSON.parse(asked[0]?.body ?? ''), {
        messages: [{ role: 'user', content: [{ text: 'Hi' }] }],
        inferenceConfig: { maxTokens: 16 },
      });
    }),
);

models('a model for embeddings is asked for one, as its family wants it', () =>
  withAws({}, async ({ run, calls }) => {
    const embedders = ['amazon.titan-embed-text-v2:0', 'cohere.embed-english-v3', 'global.cohere.embed-v4:0'];
    const env = { DEFAULT_MODEL: 'amazon.b', ALLOWED_MODELS: ['amazon.b', ...embedders].join() };
    const { code, out } = await run('scripts/doctor.ts', [], env);
    assert.is(code, 0);
    for (const model of embedders) assert.match(out, `${model} answers.`);
    const asked = calls.filter(({ action }) => action === 'InvokeModel');
    assert.equal(
      new Map(asked.map(({ model, body }) => [model, JSON.parse(body)])),
      new Map<string, object>([
        ['amazon.titan-embed-text-v2:0', { inputText: 'hi', dimensions: 1024 }],
        ['cohere.embed-english-v3', { texts: ['hi'], input_type: 'search_query' }],
        ['global.cohere.embed-v4:0', { texts: ['hi'], input_type: 'search_query', output_dimension: 1536 }],
      ]),
    );
    assert.equal(
      calls.flatMap(({ action, model }) => (action === 'Converse' ? model : [])),
      ['amazon.b'],
    );
  }),
);

models('the model that embeds questions is asked where these are searched, whoever may ask for it', () =>
  withAws({}, async ({ run, calls }) => {
    const env = { DEFAULT_MODEL: 'amazon.b', ALLOWED_MODELS: 'amazon.b' };
    const embedders = () => calls.flatMap(({ action, model }) => (action === 'InvokeModel' ? [model] : []));
    await run('scripts/doctor.ts', [], env);
    assert.equal(embedders(), []);
    const OPENSEARCH_DOMAIN_ENDPOINT = 'https://1tg2xudton46knx2a95g.us-east-1.aoss.amazonaws.com';
    const { out } = await run('scripts/doctor.ts', [], { ...env, OPENSEARCH_DOMAIN_ENDPOINT });
    assert.equal(embedders(), [embeddingModel.model]);
    assert.match(out, `${embeddingModel.model} answers.`);
  }),
);

models('a model for embeddings that is withheld is told as any other', async () => {
  const { code, out } = await withAws(
    { InvokeModel: denied("You don't have access to the model with the specified model ID.") },
    ({ run }) =>
      run('scripts/doctor.ts', [], {
        DEFAULT_MODEL: 'amazon.b',
        ALLOWED_MODELS: 'amazon.b,cohere.embed-v4:0',
      }),
  );
  assert.is(code, 1);
  assert.match(out, /problem +model +cohere\.embed-v4:0 is not enabled: open it in the Bedrock console/);
});

models('four models are asked at once, and never five', async () => {
  let under = 0;
  let most = 0;
  const four = Promise.withResolvers<void>();
  const Converse = async () => {
    most = Math.max(most, ++under);
    if (under === 4) setTimeout(four.resolve, 50); // time for a fifth, were there one
    await four.promise;
    under--;
    return HELLO;
  };
  const list = Array.from({ length: 8 }, (_, at) => `amazon.m${at}`).join();
  const { code } = await withAws({ Converse }, ({ run }) =>
    run('scripts/doctor.ts', [], { DEFAULT_MODEL: 'amazon.m0', ALLOWED_MODELS: list }),
  );
  assert.is(code, 0);
  assert.is(most, 4);
});

models('a region that Bedrock has no address in is told as that', () => {
  const error = Object.assign(new Error('getaddrinfo ENOTFOUND x'), { code: 'ENOTFOUND' });
  const { result, sentence } = explainModelFailure(error, 'm', 'xx-east-9');
  assert.is(result, 'problem');
  assert.match(sentence, 'Bedrock is not to be had in xx-east-9; set REGION_ID');
});

for (const [region, profiles] of Object.entries({
  'eu-west-1': 'global.m or eu.m',
  'ap-northeast-1': 'global.m or jp.m',
  'ap-southeast-2': 'global.m or au.m',
  'ap-south-1': 'global.m or apac.m',
  'us-gov-west-1': 'global.m or us-gov.m',
  'sa-east-1': 'global.m',
})) {
  models(`in ${region} a model behind a profile is looked for as ${profiles}`, () => {
    const error = Object.assign(new Error('with on-demand throughput isn’t supported'), {
      name: 'ValidationException',
    });
    assert.match(explainModelFailure(error, 'm', region).sentence, `put ${profiles} in its place`);
  });
}
models.run();
