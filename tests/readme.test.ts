/** What the README says of settings and errors, held against the tables that the product reads; and that its links lead somewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { variables } from '../cdk/config/variables.ts';
import { errorKinds } from '../src/chat/errors.ts';
import { settingsTable } from '../src/chat/settings.ts';
import { parseCompletion } from '../src/doors/openai-request.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The cells of each row of the table below this head. */
function rowsOf(head: string): string[][] {
  const [, table = ''] = readme.split(`${head}\n`);
  const [rows = ''] = table.split('\n\n');
  const lines = rows.split('\n').slice(1);
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const documenting = suite('the README');

documenting('lists every setting with its default, what it takes and what it means', () => {
  assert.equal(
    rowsOf('| setting | default | takes | meaning |'),
    settingsTable.map(({ name, default: text, kind, meaning }) => [
      `\`${name}\``,
      text ? `\`${text.replaceAll(',', ', ')}\`` : 'none',
      kind.allowed,
      meaning,
    ]),
  );
});

documenting('lists every variable of the deployment with its default and what it means', () => {
  assert.equal(
    rowsOf('| variable | default | meaning |'),
    variables.map(({ name, defaultText, meaning }) => [
      `\`${name}\``,
      defaultText ? `\`${defaultText.replaceAll(',', ', ')}\`` : 'none',
      meaning,
    ]),
  );
});

documenting('lists every error code under its status', () => {
  const codes = rowsOf('| status | codes |').flatMap(([status, cell = '']) =>
    cell.split(' ').map((code) => [code.replaceAll('`', ''), Number(status)]),
  );
  assert.equal(
    new Map(codes.map(([code, status]) => [code, status])),
    new Map(Object.entries(errorKinds).map(([code, { status }]) => [code, status])),
  );
});

const caller = { tenant: 'alice', kind: 'api-key', door: 'rest' } as const;
const hi = [{ role: 'user', content: 'Hi' }];
const tools = [{ type: 'function', function: { name: 'look' } }];
const cached = { type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } };
const thoughts = [{ type: 'reasoning.text', text: 'hm', signature: 'sig' }];
const answered = (more: object) => ({
  messages: [...hi, { role: 'assistant', content: 'Hi', ...more }, ...hi],
});

/** A body with each field of the table, and the body without it where that is not the plainest. */
const samples: Readonly<Record<string, readonly [object, object?]>> = {
  model: [{ model: 'gpt-4o' }],
  messages: [{ messages: [...hi, ...hi] }],
  max_completion_tokens: [{ max_completion_tokens: 5 }],
  max_tokens: [{ max_tokens: 5 }],
  temperature: [{ temperature: 2 }],
  top_p: [{ top_p: 0.5 }],
  stop: [{ stop: 'END' }],
  stream: [{ stream: true }],
  stream_options: [{ stream_options: { include_usage: true } }],
  tools: [{ tools }],
  tool_choice: [{ tools, tool_choice: 'required' }, { tools }],
  parallel_tool_calls: [{ tools, parallel_tool_calls: false }, { tools }],
  response_format: [{ response_format: { type: 'json_object' } }],
  reasoning_effort: [{ reasoning_effort: 'max' }],
  user: [{ user: 'u' }],
  metadata: [{ metadata: { team: 'blue' } }],
  cache_control: [{ messages: [{ role: 'user', content: [cached] }] }],
  reasoning_details: [answered({ reasoning_details: thoughts }), answered({})],
  chat_id: [{ chat_id: 'new' }],
  cache: [{ cache: 'off' }],
  request_id: [{ request_id: 'mine' }],
  store: [{ store: false }],
  n: [{ n: 2 }],
  logprobs: [{ logprobs: true }],
  functions: [{ functions: [] }],
  function_call: [{ function_call: 'auto' }],
  seed: [{ seed: 7 }],
  frequency_penalty: [{ frequency_penalty: 1 }],
  presence_penalty: [{ presence_penalty: 1 }],
  logit_bias: [{ logit_bias: { 50256: -100 } }],
  top_logprobs: [{ top_logprobs: 3 }],
  service_tier: [{ service_tier: 'flex' }],
  modalities: [{ modalities: ['text', 'audio'] }],
  audio: [{ audio: { voice: 'alloy', format: 'mp3' } }],
  prediction: [{ prediction: { type: 'content', content: 'Hi' } }],
  verbosity: [{ verbosity: 'low' }],
  prompt_cache_key: [{ prompt_cache_key: 'k' }],
  safety_identifier: [{ safety_identifier: 'u' }],
  web_search_options: [{ web_search_options: {} }],
};

function fateOf(field: string): string {
  const [body, without] = samples[field] ?? [{}];
  const parse = (given: object = {}) =>
    JSON.stringify(parseCompletion({ messages: hi, ...given }, caller, 'r'));
  try {
    return parse(body) === parse(without) ? 'ignored' : 'mapped';
  } catch {
    return 'refused';
  }
}

documenting('says of each field of a chat completion what really becomes of it', () => {
  const [head] = readme.split('### Embeddings, field by field');
  const [, table = ''] = head?.split('### Chat completions, field by field') ?? [];
  const rows = [...table.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(([, field = '', fate]) => [field, fate]);
  assert.equal(
    rows,
    Object.keys(samples).map((field) => [field, fateOf(field)]),
  );
});

documenting('shows the whole fetch that signs, as it stands among the samples', () => {
  const file = readFileSync(new URL('../samples/signing-fetch.ts', import.meta.url), 'utf8');
  const [, shown] = /^```ts\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  assert.is(shown, file);
});

/** As GitHub makes them of headings. */
const toAnchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

for (const name of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']) {
  documenting(`links only to headings and files that are there: ${name}`, () => {
    const text = readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => toAnchor(heading));
    assert.equal(anchors, [...new Set(anchors)]);
    const links = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
      (link) => link[1] ?? link[2] ?? '',
    );
    assert.ok(links.length > 0);
    const isDead = (link: string) =>
      link.startsWith('#')
        ? !anchors.includes(link.slice(1))
        : !link.startsWith('https:') && !existsSync(new URL(`../${link.split('#')[0]}`, import.meta.url));
    assert.equal(links.filter(isDead), []);
  });
}

documenting.run();
