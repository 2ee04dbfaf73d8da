import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ServiceException } from '../../../src/local/bedrock/replies.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';

type Block = Record<string, unknown>;

const user = (...content: Block[]) => ({ role: 'user', content });
const assistant = (...content: Block[]) => ({ role: 'assistant', content });
const text = (said = 'Hi') => ({ text: said });
const call = (toolUseId: string, more: object = {}) => ({
  toolUse: { toolUseId, name: 'look', input: {}, ...more },
});
const result = (toolUseId: string, ...content: Block[]) => ({ toolResult: { toolUseId, content } });
const tool = (name: string, more: object = {}) => ({
  toolSpec: { name, inputSchema: { json: { type: 'object' } }, ...more },
});
const toolConfig = { tools: [tool('look')] };
const bytes = Buffer.from('anything').toString('base64');
const image = (format: string, source: object = { bytes }) => ({ image: { format, source } });
const document = (name: string, format = 'pdf', source: object = { bytes }) => ({
  document: { name, format, source },
});
const cachePoint = { cachePoint: { type: 'default' } };

const parse = (messages: readonly object[], more: object = {}) => parseConverseRequest({ messages, ...more });
const withTools = (...messages: object[]) => parse(messages, { toolConfig });
const ask = (more: object) => parse([user(text())], more);

/** That it is refused, and in which words: the same ones, or ones that the pattern fits. */
function refuses(run: () => unknown, words: string | RegExp) {
  try {
    run();
  } catch (error) {
    assert.instance(error, ServiceException);
    const { status, name, message } = error as ServiceException;
    assert.equal([status, name], [400, 'ValidationException']);
    if (typeof words === 'string') assert.is(message, words);
    else assert.match(message, words);
    return;
  }
  assert.unreachable(`nothing was refused, but should have been: ${words}`);
}

const ofModel = (what: string) => `The model returned the following errors: ${what}`;
const breaks = (at: string, what: string) =>
  `1 validation error detected: Value at '${at}' failed to satisfy constraint: Member must ${what}`;

const turns = suite('turns');

turns('a conversation begins with the user', () => {
  refuses(
    () => parse([assistant(text()), user(text())]),
    'A conversation must start with a user message. Try again with a conversation that starts with a user message.',
  );
});

turns('user and assistant take turns', () => {
  const words =
    'A conversation must alternate between user and assistant roles. ' +
    'Make sure the conversation alternates between user and assistant roles and try again.';
  refuses(() => parse([user(text()), user(text())]), words);
  refuses(() => parse([user(text()), assistant(text()), assistant(text())]), words);
  assert.ok(parse([user(text()), assistant(text()), user(text()), assistant(text())]));
});

turns('there are no other roles', () => {
  const words = breaks('messages.2.member.role', 'satisfy enum value set: [user, assistant]');
  refuses(() => parse([user(text()), { role: 'system', content: [text()] }]), words);
});

turns('a message has content', () => {
  refuses(
    () => parse([user(text()), assistant()]),
    'The content field in the Message object at messages.1 is empty. ' +
      'Add a ContentBlock object to the content field and try again.',
  );
});

turns('no text is blank, in messages, system prompt or tool results', () => {
  const blank = (at: string) =>
    `The text field in the ContentBlock object at ${at} is blank. Add text to the text field, and try again.`;
  refuses(() => parse([user(text(''))]), blank('messages.0.content.0'));
  refuses(() => parse([user(text(), text(' \n\t'))]), blank('messages.0.content.1'));
  refuses(() => ask({ system: [text(), text(' ')] }), blank('system.1'));
  refuses(
    () => withTools(user(text()), assistant(call('a')), user(result('a', text('ok'), text('')))),
    blank('messages.2.content.0.toolResult.content.1'),
  );
});

turns.run();

// ---

const tools = suite('tools');

tools('a history with calls needs tools', () => {
  const history = [user(text()), assistant(call('a')), user(result('a'))];
  const words = 'The toolConfig field must be defined when using toolUse and toolResult content blocks.';
  refuses(() => parse(history), words);
  assert.ok(withTools(...history));
});

tools('every call is answered in the next message', () => {
  const expected = (index: number, ids: string) =>
    `Expected toolResult blocks at messages.${index}.content for the following Ids: ${ids}`;
  const start = [user(text()), assistant(call('a'), call('b'), call('c'))];
  refuses(() => withTools(...start, user(result('b'))), expected(2, 'a, c'));
  refuses(() => withTools(...start, user(text())), expected(2, 'a, b, c'));
  refuses(() => withTools(...start), expected(2, 'a, b, c'));
  refuses(
    () => withTools(user(text()), assistant(call('a')), user(text()), assistant(text()), user(result('a'))),
    expected(2, 'a'),
  );
  assert.ok(withTools(...start, user(result('c'), result('a'), result('b'), text())));
});

tools('every result answers a call of the message before, and no call has two', () => {
  const tooMany = (index: number) =>
    `The number of toolResult blocks at messages.${index}.content exceeds the number of toolUse blocks of previous turn.`;
  refuses(() => withTools(user(result('a'))), tooMany(0));
  refuses(() => withTools(user(text()), assistant(text()), user(result('a'))), tooMany(2));
  refuses(() => withTools(user(text()), assistant(call('a')), user(result('a'), result('b'))), tooMany(2));
  refuses(() => withTools(user(text()), assistant(call('a')), user(result('a'), result('a'))), tooMany(2));
  refuses(() => withTools(user(text()), assistant(result('a'))), tooMany(1));
});

tools('only the assistant calls, and no id twice in a message', () => {
  refuses(() => withTools(user(call('a'))), /messages\.0\.content\.0: `tool_use` blocks can only be in/);
  refuses(
    () => withTools(user(text()), assistant(call('a'), call('a')), user(result('a'), result('b'))),
    ofModel('messages.1.content: `tool_use` ids must be unique'),
  );
});

tools('ids and names are 1 to 64 letters, digits, _ and -', () => {
  const history = (id: string, more: object = {}) =>
    withTools(user(text()), assistant(text(), call(id, more)), user(result(id)));
  for (const good of ['a', 'A-z_09', 'x'.repeat(64)]) assert.ok(history(good, { name: good }));
  const pattern = 'satisfy regular expression pattern: [a-zA-Z0-9_-]+';
  for (const bad of ['a.b', 'a:b', 'a b', 'ä'])
    refuses(
      () => history('a', { name: bad }),
      breaks('messages.2.member.content.2.member.toolUse.name', pattern),
    );
  refuses(
    () => history('x'.repeat(65)),
    /^2 validation errors detected: .*toolUse\.toolUseId.*; .*toolResult/,
  );
  refuses(() => history('x.y'), /toolResult\.toolUseId/);
  refuses(() => history(''), /toolUse\.toolUseId' failed .* greater than or equal to 1; /);
  const at = 'toolConfig.tools.2.member.toolSpec.name';
  refuses(() => ask({ toolConfig: { tools: [tool('a'), tool('a.b')] } }), breaks(at, pattern));
  const tooLong = breaks(at, 'have length less than or equal to 64');
  refuses(() => ask({ toolConfig: { tools: [tool('a'), tool('x'.repeat(65))] } }), tooLong);
  const toolChoice = { tool: { name: 'a.b' } };
  refuses(
    () => ask({ toolConfig: { ...toolConfig, toolChoice } }),
    breaks('toolConfig.toolChoice.tool.name', pattern),
  );
});

tools('a description says something, a schema is of an object, and no name is there twice', () => {
  assert.ok(ask({ toolConfig: { tools: [tool('a', { description: 'b' }), tool('b'), cachePoint] } }));
  const at = 'toolConfig.tools.1.member.toolSpec.description';
  const empty = { tools: [tool('a', { description: '' })] };
  refuses(() => ask({ toolConfig: empty }), breaks(at, 'have length greater than or equal to 1'));
  const words =
    'The value at toolConfig.tools.1.toolSpec.inputSchema.json.type must be one of the following: object.';
  for (const json of [{}, { type: 'string' }, { anyOf: [{ type: 'object' }] }])
    refuses(() => ask({ toolConfig: { tools: [tool('a'), tool('b', { inputSchema: { json } })] } }), words);
  refuses(
    () => ask({ toolConfig: { tools: [tool('a'), tool('b'), tool('a')] } }),
    ofModel('tools: Tool names must be unique.'),
  );
  refuses(() => ask({ toolConfig: { tools: [] } }), /toolConfig\.tools/);
});

tools('the input of a call and the JSON of a result are objects', () => {
  const history = (input: unknown, json: unknown) =>
    withTools(user(text()), assistant(call('a', { input })), user(result('a', { json })));
  const invalid = (at: string) =>
    `The format of the value at ${at} is invalid. Provide a json object for the field and try again.`;
  assert.ok(history({ a: 1 }, { b: [2] }));
  for (const wrong of ['{}', [], 1, null, true]) {
    refuses(() => history(wrong, {}), invalid('messages.1.content.0.toolUse.input'));
    refuses(() => history({}, wrong), invalid('messages.2.content.0.toolResult.content.0.json'));
  }
  refuses(() => history(undefined, {}), 'The value at messages.1.content.0.toolUse.input is empty.');
});

tools('a result may be empty, unless it is an error', () => {
  const history = (status: string) =>
    withTools(
      user(text()),
      assistant(call('a')),
      user({ toolResult: { toolUseId: 'a', content: [], status } }),
    );
  assert.ok(history('success'));
  refuses(
    () => history('error'),
    'The content field at messages.2.content.0.toolResult cannot be empty when status value is error.',
  );
  refuses(() => history('failed'), /toolResult\.status/);
});

tools.run();

// ---

const media = suite('images and documents');

media('each has a known format', () => {
  for (const format of ['png', 'jpeg', 'gif', 'webp']) assert.ok(parse([user(image(format))]));
  for (const format of ['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md'])
    assert.ok(parse([user(text(), document('a', format))]));
  refuses(
    () => parse([user(text(), image('jpg'))]),
    breaks(
      'messages.1.member.content.2.member.image.format',
      'satisfy enum value set: [gif, jpeg, png, webp]',
    ),
  );
  refuses(() => parse([user(text(), document('a', 'json'))]), /document\.format/);
});

media('each brings bytes, as base64', () => {
  const at = 'messages.1.member.content.2.member';
  for (const source of [{}, { bytes: '' }, { bytes: 'no base64' }, { bytes: 'YQ' }, { bytes: [1] }]) {
    refuses(() => parse([user(text(), image('png', source))]), new RegExp(`${at}.image.source.bytes`));
    refuses(
      () => parse([user(text(), document('a', 'pdf', source))]),
      new RegExp(`${at}.document.source.bytes`),
    );
  }
});

media('the same goes for those in the result of a tool', () => {
  const history = (...content: Block[]) =>
    withTools(user(text()), assistant(call('a')), user(result('a', ...content)));
  assert.ok(history(image('png'), document('a'), document('b')));
  refuses(() => history(image('tiff')), /toolResult\.content\.1\.member\.image\.format/);
  refuses(() => history(document('a.b')), /document file name/);
  refuses(() => history(document('a'), document('a')), /duplicate document names/);
});

media('a document needs a text beside it', () => {
  const words = 'A text block must be included when using documents.';
  refuses(() => parse([user(document('a'))]), words);
  refuses(() => parse([user(text()), assistant(text()), user(document('a'), image('png'))]), words);
});

media('the name of a document is 1 to 200 characters of a small alphabet', () => {
  const named = (name: string) => parse([user(text(), document(name))]);
  for (const good of ['a', 'Report (2) [final] - 3', 'x'.repeat(200)]) assert.ok(named(good));
  const words =
    'The document file name can only contain alphanumeric characters, whitespace characters, hyphens, ' +
    "parentheses, and square brackets. The name can't contain more than one consecutive whitespace character. " +
    'Check that the file name conforms to these restrictions and retry your request.';
  for (const bad of ['a.pdf', 'a_b', 'a  b', 'a\tb', 'a\u3000b', 'é', 'a\n'])
    refuses(() => named(bad), words);
  refuses(() => named(''), /document\.name' failed .* greater than or equal to 1$/);
  refuses(() => named('x'.repeat(201)), /document\.name' failed .* less than or equal to 200$/);
});

media('no two documents of a request have one name', () => {
  const words =
    "Messages can't contain duplicate document names. Rename the document and retry your request.";
  refuses(() => parse([user(text(), document('a'), document('a', 'csv'))]), words);
  const later = [user(text(), document('a')), assistant(text()), user(text(), document('a'))];
  refuses(() => parse(later), words);
});

media.run();

// ---

const caching = suite('cache points');

caching('there are at most four in a request', () => {
  const system = [text(), cachePoint];
  const cachedTools = { toolConfig: { tools: [tool('a'), cachePoint] } };
  const conversation = [user(text(), cachePoint), assistant(text()), user(text(), cachePoint)];
  assert.ok(parse(conversation, { system, ...cachedTools }));
  const fifth = [...conversation, assistant(text(), cachePoint)];
  refuses(
    () => parse(fifth, { system, ...cachedTools }),
    ofModel('A maximum of 4 blocks with cache_control may be provided. Found 5.'),
  );
});

caching('none is the first of its list, or follows a thought', () => {
  const words = 'There is nothing available to cache.';
  refuses(() => parse([user(cachePoint, text())]), words);
  refuses(() => parse([user(text()), assistant(text()), user(cachePoint, text())]), words);
  refuses(() => ask({ system: [cachePoint, text()] }), words);
  refuses(() => ask({ toolConfig: { tools: [cachePoint, tool('a')] } }), words);
  const thought = { reasoningContent: { reasoningText: { text: 'Hm.' } } };
  refuses(
    () => parse([user(text()), assistant(thought, cachePoint, text()), user(text())]),
    'Cache point cannot be inserted after reasoning block. Please remove the invalid cache point and try again.',
  );
});

caching('each has a type and perhaps a time to live', () => {
  const of = (point: object) => parse([user(text(), { cachePoint: point })]);
  assert.ok(of({ type: 'default', ttl: '5m' }));
  assert.ok(of({ type: 'default', ttl: '1h' }));
  refuses(() => of({ type: 'default', ttl: '2h' }), /cachePoint\.ttl/);
  refuses(() => of({}), /cachePoint\.type/);
});

caching.run();

// ---

const fields = suite('other fields');

fields('request metadata are at most 16 short texts of a small alphabet', () => {
  const of = (map: object) => ask({ requestMetadata: map });
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [index, '']));
  assert.ok(of({ ...many(15), ['k'.repeat(256)]: 'aZ09 :_@$#=/+,.-\t'.repeat(15) }));
  refuses(() => of(many(17)), breaks('requestMetadata', 'have length less than or equal to 16'));
  for (const key of ['', 'k'.repeat(257), 'k!', 'é'])
    refuses(() => of({ [key]: 'v' }), /'requestMetadata' failed to satisfy constraint: Map keys must/);
  for (const value of ['v'.repeat(257), 'v!', 'a\u00a0b'])
    refuses(() => of({ k: value }), /'requestMetadata' failed to satisfy constraint: Map values must/);
  refuses(() => of({ k: 1 }), /requestMetadata\.k/);
});

fields('temperature and topP are fractions, maxTokens is at least 1', () => {
  const of = (inferenceConfig: object) => ask({ inferenceConfig });
  assert.ok(of({ temperature: 0, topP: 1, maxTokens: 1 }));
  for (const field of ['temperature', 'topP']) {
    const at = `inferenceConfig.${field}`;
    refuses(() => of({ [field]: -0.1 }), breaks(at, 'have value greater than or equal to 0'));
    refuses(() => of({ [field]: 1.1 }), breaks(at, 'have value less than or equal to 1'));
  }
  refuses(
    () => of({ maxTokens: 0 }),
    breaks('inferenceConfig.maxTokens', 'have value greater than or equal to 1'),
  );
  refuses(() => of({ maxTokens: 1.5 }), /maxTokens/);
});

const closed = (properties: object, more: object = {}) => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
});
const output = (schema: string) =>
  ask({ outputConfig: { textFormat: { type: 'json_schema', structure: { jsonSchema: { schema } } } } });

fields('an output schema is a JSON text of an object', () => {
  for (const wrong of ['', '{', '[]', '"object"', 'null'])
    refuses(() => output(wrong), 'The provided JSON schema is not valid JSON.');
});

fields('every object of an output schema is closed', () => {
  const words = ofModel(
    "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
  );
  const open = { type: 'object', properties: { a: { type: 'string' } } };
  for (const schema of [
    open,
    { type: 'object' },
    { properties: {} },
    { type: ['null', 'object'] },
    { ...open, additionalProperties: true },
    { ...open, additionalProperties: { type: 'string' } },
    closed({ deep: closed({ deeper: open }) }),
    closed({ list: { type: 'array', items: open } }),
    closed({ list: { type: 'array', prefixItems: [{ type: 'string' }, open] } }),
    closed({ one: { anyOf: [{ type: 'null' }, open] } }),
    closed({ one: { oneOf: [open] } }),
    closed({ all: { allOf: [open] } }),
    closed({ ref: { $ref: '#/$defs/a' } }, { $defs: { a: open } }),
    closed({}, { definitions: { a: open } }),
  ])
    refuses(() => output(JSON.stringify(schema)), words);
});

fields('what only looks like an object in a schema is left alone', () => {
  const type = {
    type: 'string',
    enum: ['object'],
    default: { type: 'object' },
    examples: [{ properties: {} }],
  };
  const schema = closed({ type, items: { type: 'array', items: closed({}) } }, { $defs: { b: closed({}) } });
  assert.ok(output(JSON.stringify(schema)));
});

fields.run();
