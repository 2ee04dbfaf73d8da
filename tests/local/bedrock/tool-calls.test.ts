import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { simulateAnswer } from '../../../src/local/bedrock/model.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';
import { chooseCalls } from '../../../src/local/bedrock/tool-calls.ts';

const tool = (name: string, description?: string) => ({
  toolSpec: { name, ...(description && { description }), inputSchema: { json: { type: 'object' } } },
});

const parse = (prompt: string, toolConfig: object) =>
  parseConverseRequest({ messages: [{ role: 'user', content: [{ text: prompt }] }], toolConfig });
const calls = (prompt: string, tools: readonly object[], toolChoice?: object) =>
  chooseCalls(parse(prompt, { tools, ...(toolChoice && { toolChoice }) })).map(({ name }) => name);

const clock = [tool('get_weather'), tool('get_time'), tool('get')];

const choosing = suite('chooseCalls');

choosing('the tools that the prompt names are called, in the order of the tools', () => {
  assert.equal(calls('Call get_time and get_weather, please', clock), ['get_weather', 'get_time']);
  assert.equal(calls('get_time.', clock), ['get_time']);
});

choosing('without a name in the prompt it is the first tool', () => {
  assert.equal(calls('What time is it?', clock), ['get_weather']);
});

choosing('a name counts as a whole word only', () => {
  assert.equal(calls('get_times, my-get_time, get_time-now, xget', clock), ['get_weather']);
  assert.equal(calls('Get (get)!', clock), ['get']);
});

choosing('only the last message of the user is asked', () => {
  const user = (text: string) => ({ role: 'user', content: [{ text }] });
  const messages = [user('get_time'), { role: 'assistant', content: [{ text: 'Noon' }] }, user('Again')];
  const request = parseConverseRequest({ messages, toolConfig: { tools: clock } });
  assert.equal(
    chooseCalls(request).map(({ name }) => name),
    ['get_weather'],
  );
});

choosing('auto and any behave alike, a forced tool is the only one', () => {
  for (const toolChoice of [{ auto: {} }, { any: {} }])
    assert.equal(calls('get_time and get', clock, toolChoice), ['get_time', 'get']);
  assert.equal(calls('get_time and get', clock, { tool: { name: 'get_weather' } }), ['get_weather']);
  assert.throws(() => calls('Go', clock, { tool: { name: 'other' } }), /Tool 'other' not found/);
});

choosing('a tool that says not to is called only when it is forced', () => {
  const stub = tool('stub', 'Stands for old calls. DO NOT call it.');
  assert.equal(calls('Call stub', [stub, tool('real', 'Do call it.')]), ['real']);
  assert.equal(calls('Call stub', [stub]), []);
  assert.equal(calls('Call stub', [stub], { any: {} }), []);
  assert.equal(calls('Go', [stub], { tool: { name: 'stub' } }), ['stub']);
});

choosing('with nothing to call the answer is text', () => {
  const toolConfig = { tools: [tool('stub', 'do not call')] };
  const steps = simulateAnswer('simulator.small', parse('ECHO plain', toolConfig));
  const events = steps.flatMap((step) => (step.kind === 'event' ? step : []));
  assert.equal(events[1]?.payload['delta'], { text: 'plain' });
  assert.equal(events.at(-2)?.payload, { stopReason: 'end_turn' });
});

choosing('ids differ from call to call, and are the same for the same request', () => {
  const ask = () => chooseCalls(parse('get_time and get', { tools: clock })).map(({ id }) => id);
  assert.is(new Set(ask()).size, 2);
  assert.equal(ask(), ask());
});

choosing.run();
