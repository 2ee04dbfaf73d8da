import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { awslambdaStandIn, type Metadata, ResponseStream } from '../../../src/local/doors/runtime.ts';

function open() {
  const seen = { metadata: undefined as Metadata | undefined, body: '', ended: false, failed: false };
  const stream = new ResponseStream({
    begin: (metadata) => void (seen.metadata = metadata),
    write(chunk, taken) {
      seen.body += chunk.toString();
      taken();
    },
    end: () => void (seen.ended = true),
    fail: () => void (seen.failed = true),
  });
  const finished = new Promise((resolve) => stream.once('finish', resolve));
  return { stream, seen, finished, from: awslambdaStandIn.HttpResponseStream.from };
}

const running = suite('ResponseStream');

running('the first write sends the metadata before itself', async () => {
  const { stream, seen, finished, from } = open();
  const out = from(stream, { statusCode: 201, headers: { a: 'b' } });
  assert.is(out, stream);
  out.write('one');
  out.write('two');
  out.end();
  await finished;
  assert.equal(seen, {
    metadata: { statusCode: 201, headers: { a: 'b' } },
    body: 'onetwo',
    ended: true,
    failed: false,
  });
});

running('an empty write sends the metadata alone', async () => {
  const { stream, seen, finished, from } = open();
  from(stream, { statusCode: 204 }).write('');
  assert.equal(seen.metadata, { statusCode: 204 });
  stream.end();
  await finished;
  assert.ok(seen.ended);
});

running('an end without a write loses the metadata, as it does on Lambda', async () => {
  const { stream, seen, finished, from } = open();
  from(stream, { statusCode: 200 }).end();
  await finished;
  assert.ok(seen.failed);
});

running('metadata of more than 16 KB is not found', async () => {
  const { stream, seen, finished, from } = open();
  from(stream, { statusCode: 200, headers: { long: 'x'.repeat(17_000) } }).write('body');
  stream.end();
  await finished;
  assert.ok(seen.failed);
});

running('zero bytes in the body are part of the body', async () => {
  const { stream, seen, finished, from } = open();
  from(stream, { statusCode: 200 }).write('a\0\0\0\0\0\0\0\0b');
  stream.end();
  await finished;
  assert.is(seen.body, 'a\0\0\0\0\0\0\0\0b');
});

running.run();
